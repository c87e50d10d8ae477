"""Apache with mod_oauth2 as a peer: an API that takes JWTs that are bound to a key or a certificate.

    server.py KEYS CERTIFICATES FOLDER

KEYS is the URL of the issuer's key set, CERTIFICATES a directory that ../tls/make.sh filled, FOLDER
one for what Apache writes. Prints "READY" and two origins once it listens; SIGTERM ends it. Paths under
/dpop of the first, which is http, need a proof (RFC 9449); those under /mtls of the second the
certificate that the token names, whoever issued it (RFC 8705). Each answers with `it is open`.
"""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

MODULES = "mpm_event authn_core authz_core authz_user alias ssl oauth2".split()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def configuration(keys, certificates, folder, plain, tls):
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                        for name in MODULES)
    guard = f"""
        AuthType oauth2
        Require valid-user
        OAuth2TokenVerify jwks_uri {keys} jwks_uri.ssl_verify=false&verify.iat=skip&type="""
    return f"""
ServerName 127.0.0.1
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
DocumentRoot {folder}/open
ErrorLog {folder}/log
LogLevel warn oauth2:debug
Listen 127.0.0.1:{plain}
Listen 127.0.0.1:{tls}
{modules}
User nobody
Group nogroup
StartServers 1
AliasMatch ^/ {folder}/open/index.txt
<Location /dpop>{guard}dpop
        OAuth2AcceptTokenIn header name=Authorization&type=DPoP
</Location>
<VirtualHost 127.0.0.1:{tls}>
    SSLEngine on
    SSLCertificateFile {certificates}/server.pem
    SSLCertificateKeyFile {certificates}/server.key
    SSLVerifyClient optional_no_ca
    SSLOptions +StdEnvVars +ExportCertData
    <Location /mtls>{guard}mtls
    </Location>
</VirtualHost>
"""


def main():
    keys, certificates, folder = sys.argv[1:]
    folder, plain, tls = Path(folder), free_port(), free_port()
    (folder / "open").mkdir(parents=True, exist_ok=True)
    (folder / "open/index.txt").write_text("it is open")
    file = folder / "apache.conf"
    file.write_text(configuration(keys, certificates, folder, plain, tls))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    apache = subprocess.Popen(["/usr/sbin/apache2", "-f", file, "-D", "FOREGROUND"])
    try:
        while apache.poll() is None and socket.socket().connect_ex(("127.0.0.1", tls)):
            time.sleep(0.05)
        if apache.poll() is None:
            print(f"READY http://127.0.0.1:{plain} https://127.0.0.1:{tls}", flush=True)
        sys.exit(apache.wait())
    finally:
        apache.terminate()
        apache.wait()


if __name__ == "__main__":
    main()
