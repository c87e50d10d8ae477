//! The command line.

use crate::{
    command_line::{Asked, read, text, wrong},
    serve::loopback,
};
use lexopt::{
    Arg::{Long, Short},
    Error, Parser,
};
use std::net::{Ipv4Addr, SocketAddr};
use tower_oauth2::{ClientSecret, ScopeSet};

pub(crate) const HELP: &str = "\
A web application whose users sign in, and which calls an API in their name.

  cargo run --example sign_in

It prints `READY http://127.0.0.1:PORT`: open that in a browser. Where nothing else is said, the
authorization server and the API run in the same process, and everybody is alice.

  --listen ADDR      default 127.0.0.1:0, which takes a free port; loopback only

With an authorization server of your own, whose redirect URI is http://127.0.0.1:PORT/callback:
  --issuer URL       its endpoints are those of its metadata
  --client-id ID, [--client-secret SECRET]
  --scope SCOPE      may be repeated
  --api URL          what is called; default its userinfo endpoint
";

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) listen: SocketAddr,
    /// Nothing for that in the process.
    pub(crate) provider: Option<Provider>,
}

/// Who signs users in, and what is called then.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<ClientSecret>,
    pub(crate) scopes: ScopeSet,
    pub(crate) api: Option<String>,
}

/// Reads a command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Asked<Arguments>, Error> {
    let parser = &mut parser;
    let mut listen = (Ipv4Addr::LOCALHOST, 0).into();
    let (mut issuer, mut client_id, mut client_secret, mut api) = (None, None, None, None);
    let mut scopes = ScopeSet::empty();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Asked::Help),
            Long("listen") => listen = read(parser, "--listen", loopback)?,
            Long("issuer") => issuer = Some(text(parser, "--issuer")?),
            Long("client-id") => client_id = Some(text(parser, "--client-id")?),
            Long("client-secret") => {
                client_secret = Some(text(parser, "--client-secret")?.into());
            }
            Long("scope") => {
                let more: ScopeSet = read(parser, "--scope", str::parse)?;
                scopes = ScopeSet::new(scopes.iter().chain(more.iter()))
                    .map_err(|why| wrong("--scope", why))?;
            }
            Long("api") => api = Some(text(parser, "--api")?),
            other => return Err(other.unexpected()),
        }
    }
    let provider = match (issuer, client_id) {
        (Some(issuer), Some(client_id)) => {
            Some(Provider { issuer, client_id, client_secret, scopes, api })
        }
        (Some(_), None) => return Err(wrong("--issuer", "who is this there? add --client-id ID")),
        (None, None) if client_secret.is_none() && scopes.is_empty() && api.is_none() => None,
        (None, _) => {
            let why = "--client-id, --client-secret, --scope and --api go with --issuer URL";
            return Err(Error::Custom(why.into()));
        }
    };
    Ok(Asked::Run(Arguments { listen, provider }))
}
