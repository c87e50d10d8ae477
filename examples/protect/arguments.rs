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
use tower_oauth2::{ClientSecret, ScopeSet, TokenLocation, validate::Principal};

pub(crate) const HELP: &str = "\
A protected HTTP server on loopback, to try any client against.

  cargo run --example protect -- --token mF_9.B5f-4.1JqM=alice:'read write'

Every path answers with JSON: whose token it was, where it was, and what of the request the inner
service saw. A call of gRPC, or gRPC-Web, gets an empty message; a method `Watch` of gRPC goes on
after it until its token is no longer good. Each decision is a line on standard error. `READY
http://127.0.0.1:PORT` is printed when requests are taken.

Where it listens, and where tokens are read:
  --listen ADDR          default 127.0.0.1:0, which takes a free port; loopback only
  --realm REALM          default protect
  --accept WAY[,WAY]...  header (the default), query, basic, form, cookie=NAME, header=NAME

Who judges them; one of these at least, several are asked in this order:
  --token TOKEN=SUBJECT[:SCOPE SCOPE...]    one that is good; may be repeated
  --issuer URL --audience AUD...            JWTs of this issuer for one of these audiences
      [--jwks URL]                          where its keys are; else its metadata say
      [--lenient]                           of servers without RFC 9068
  --introspect URL --client-id ID --client-secret SECRET
      [--audience AUD]...                   the authorization server is asked (RFC 7662)

What else is asked for, and what refusals say:
  --scope SCOPE          every call needs it; may be repeated
  --resource URL         where clients know this server: challenges point to its RFC 9728 metadata,
                         which are served at /.well-known/oauth-protected-resource and its path
  --optional             requests without a token pass
  --terse                refusals do not say what was wrong with the token
  --without-grpc         for a proxy that asks whether a request may pass (auth_request, ext_authz):
                         no refusal has status 200, gRPC's included, and preflights need a token

Plain http is taken to and from the machine itself alone.
";

/// What is served, and to whom.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) listen: SocketAddr,
    pub(crate) realm: String,
    pub(crate) accept: Vec<TokenLocation>,
    pub(crate) tokens: Vec<StaticToken>,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) introspection: Option<Introspection>,
    pub(crate) audience: Vec<String>,
    pub(crate) scopes: ScopeSet,
    pub(crate) resource: Option<String>,
    pub(crate) optional: bool,
    pub(crate) terse: bool,
    pub(crate) without_grpc: bool,
}

#[derive(Debug)]
pub(crate) struct StaticToken {
    pub(crate) token: ClientSecret,
    pub(crate) principal: Principal,
}

#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) identifier: String,
    pub(crate) jwks: Option<String>,
    pub(crate) lenient: bool,
}

#[derive(Debug)]
pub(crate) struct Introspection {
    pub(crate) url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: ClientSecret,
}

/// What was given so far; what belongs together may come in any order.
#[derive(Default)]
struct Given {
    jwks: Option<String>,
    issuer: Option<String>,
    lenient: bool,
    introspect: Option<String>,
    client_id: Option<String>,
    client_secret: Option<ClientSecret>,
}

/// Reads a command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Asked<Arguments>, Error> {
    let parser = &mut parser;
    let mut given = Given::default();
    let mut arguments = Arguments {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        realm: "protect".into(),
        accept: vec![TokenLocation::Bearer],
        tokens: Vec::new(),
        issuer: None,
        introspection: None,
        audience: Vec::new(),
        scopes: ScopeSet::empty(),
        resource: None,
        optional: false,
        terse: false,
        without_grpc: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Asked::Help),
            Long("listen") => arguments.listen = read(parser, "--listen", loopback)?,
            Long("realm") => arguments.realm = text(parser, "--realm")?,
            Long("accept") => arguments.accept = read(parser, "--accept", locations)?,
            Long("token") => arguments.tokens.push(read(parser, "--token", static_token)?),
            Long("jwks") => given.jwks = Some(text(parser, "--jwks")?),
            Long("issuer") => given.issuer = Some(text(parser, "--issuer")?),
            Long("audience") => arguments.audience.push(text(parser, "--audience")?),
            Long("lenient") => given.lenient = true,
            Long("introspect") => given.introspect = Some(text(parser, "--introspect")?),
            Long("client-id") => given.client_id = Some(text(parser, "--client-id")?),
            Long("client-secret") => {
                given.client_secret = Some(text(parser, "--client-secret")?.into());
            }
            Long("scope") => {
                let scopes: ScopeSet = read(parser, "--scope", str::parse)?;
                arguments.scopes = ScopeSet::new(arguments.scopes.iter().chain(scopes.iter()))
                    .map_err(|why| wrong("--scope", why))?;
            }
            Long("resource") => arguments.resource = Some(text(parser, "--resource")?),
            Long("optional") => arguments.optional = true,
            Long("terse") => arguments.terse = true,
            Long("without-grpc") => arguments.without_grpc = true,
            other => return Err(other.unexpected()),
        }
    }
    given.complete(arguments).map(Asked::Run)
}

impl Given {
    /// Puts together what belongs together.
    fn complete(self, mut arguments: Arguments) -> Result<Arguments, Error> {
        arguments.issuer = match (self.issuer, self.jwks) {
            (Some(_), _) if arguments.audience.is_empty() => {
                return Err(wrong("--issuer", "whom its tokens must be for: add --audience AUD"));
            }
            (Some(identifier), jwks) => Some(Issuer { identifier, jwks, lenient: self.lenient }),
            (None, Some(_)) => {
                return Err(wrong("--jwks", "whose keys they are: add --issuer URL"));
            }
            (None, None) if self.lenient => {
                return Err(wrong("--lenient", "is for the JWTs of an --issuer URL"));
            }
            (None, None) => None,
        };
        arguments.introspection = match (self.introspect, self.client_id, self.client_secret) {
            (Some(url), Some(client_id), Some(client_secret)) => {
                Some(Introspection { url, client_id, client_secret })
            }
            (Some(_), ..) => {
                let why = "who asks: add --client-id ID and --client-secret SECRET";
                return Err(wrong("--introspect", why));
            }
            (None, None, None) => None,
            (None, ..) => {
                return Err(wrong("--client-id", "and --client-secret go with --introspect URL"));
            }
        };
        if arguments.tokens.is_empty()
            && arguments.issuer.is_none()
            && arguments.introspection.is_none()
        {
            let why = "no token could be good: add --token, --issuer or --introspect";
            return Err(Error::Custom(why.into()));
        }
        if arguments.audience.is_empty()
            || arguments.issuer.is_some()
            || arguments.introspection.is_some()
        {
            return Ok(arguments);
        }
        Err(wrong("--audience", "goes with --issuer or --introspect"))
    }
}

fn locations(text: &str) -> Result<Vec<TokenLocation>, String> {
    text.split(',').map(location).collect()
}

fn location(way: &str) -> Result<TokenLocation, String> {
    let location = match way.split_once('=') {
        None if way == "header" => Ok(TokenLocation::Bearer),
        None if way == "query" => Ok(TokenLocation::Query),
        None if way == "basic" => Ok(TokenLocation::BasicUserName),
        None if way == "form" => Ok(TokenLocation::Form),
        Some(("cookie", name)) => TokenLocation::cookie(name),
        Some(("header", name)) => TokenLocation::header(name),
        _ => {
            let ways = "header, query, basic, form, cookie=NAME or header=NAME";
            return Err(format!("{way:?} is none of {ways}"));
        }
    };
    location.map_err(|why| why.to_string())
}

/// A token may end in `=`, and nowhere else has one: it ends at the last of its first row of them.
fn static_token(text: &str) -> Result<StaticToken, String> {
    let form = || "the form is TOKEN=SUBJECT[:SCOPE SCOPE...]".to_owned();
    let first = text.find('=').ok_or_else(form)?;
    let (start, rest) = text.split_at(first);
    let whose = rest.trim_start_matches('=');
    let padding = rest.len() - whose.len() - 1;
    let (subject, scopes) = whose.split_once(':').unwrap_or((whose, ""));
    if start.is_empty() || subject.is_empty() {
        return Err(form());
    }
    let scopes: ScopeSet = scopes.parse().map_err(|why| format!("{why}"))?;
    let token = ClientSecret::new(format!("{start}{}", "=".repeat(padding)));
    Ok(StaticToken { token, principal: Principal::new(subject).with_scopes(scopes) })
}
