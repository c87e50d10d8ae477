//! The command line.

use crate::{
    command_line::{Asked, duration, read, text},
    serve::loopback,
};
use lexopt::{
    Arg::{Long, Short},
    Error, Parser,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub(crate) const HELP: &str = "\
An authorization server on loopback, to try the other examples with. Its secrets are below: it is
for nothing else.

  cargo run --example authorization_server -- --listen 127.0.0.1:9000

`READY http://127.0.0.1:PORT` is printed when requests are taken. On standard error it says how
`protect` and `call` are started with it, then a line for each request.

  --listen ADDR      default 127.0.0.1:0, which takes a free port; loopback only
  --jwts AUDIENCE    tokens are JWTs for this audience; default opaque
  --lifetime TIME    of tokens: 500ms, 2s, 1m; default 60m
  --dpop             token requests need a DPoP proof and a nonce; else a proof is welcome
  --assertion FILE   writes what another issuer says of alice there, good once and for 10 minutes:
                     for `call --grant jwt-bearer=FILE`

Who there is:
  client app         the secret is app-secret-that-everybody-can-see
  client signer      its key is in examples/authorization_server/signer.jwk
  user alice         the password is wonderland, her rights are read and write

Where it answers: /token, /authorization (log-in without OAuth), /authorize, /introspect, /revoke,
/jwks, and its metadata.
";

/// What is served.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) listen: SocketAddr,
    pub(crate) audience: Option<String>,
    pub(crate) lifetime: Duration,
    pub(crate) dpop: bool,
    pub(crate) assertion: Option<PathBuf>,
}

/// Reads a command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Asked<Arguments>, Error> {
    let parser = &mut parser;
    let mut arguments = Arguments {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        audience: None,
        lifetime: Duration::from_secs(3600),
        dpop: false,
        assertion: None,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Asked::Help),
            Long("listen") => arguments.listen = read(parser, "--listen", loopback)?,
            Long("jwts") => arguments.audience = Some(text(parser, "--jwts")?),
            Long("lifetime") => arguments.lifetime = read(parser, "--lifetime", duration)?,
            Long("dpop") => arguments.dpop = true,
            Long("assertion") => {
                arguments.assertion = Some(text(parser, "--assertion")?.into());
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Asked::Run(arguments))
}
