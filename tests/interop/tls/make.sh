#!/bin/sh
# Certificates of one run, in the directory $1: a CA, what it issued to a server on loopback and
# to clients, and two that clients signed themselves.
#
#   ca, server                            (the CA's key is in ca.key; the server is also
#                                         as.interop.example, which the proxy alone finds)
#   svc-tls, svc-tls-bound, rs-tls        of the CA, each with its own name
#   svc-tls-self                          signed by itself
#   stranger                              the same, with the name svc-tls
set -eu
umask 077
mkdir -p "$1"
cd "$1"
curve='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'
own() { # file, name, more
  file=$1 name=$2
  shift 2
  openssl req -x509 $curve -keyout "$file.key" -out "$file.pem" -subj "/CN=$name" "$@"
}
issue() { # name, more
  name=$1
  shift
  own "$name" "$name" -CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE "$@"
}
own ca 'the authority' -addext keyUsage=critical,keyCertSign
issue server -addext subjectAltName=IP:127.0.0.1,DNS:as.interop.example -addext extendedKeyUsage=serverAuth
for client in svc-tls svc-tls-bound rs-tls; do
  issue "$client" -addext extendedKeyUsage=clientAuth
done
own svc-tls-self svc-tls-self
own stranger svc-tls
