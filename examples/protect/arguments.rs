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
  --accept WAY[,WAY]...  header (the default), query, basic, form, cookie=NAME, header=NAME;
                         password=USER, the Basic password of USER, who may have no name;
                         websocket=PREFIX, a subprotocol: the prefix, and the token in base64url;
                         websocket-pair=NAME, the subprotocol after NAME

Who judges them; one of these at least, several are asked in this order:
  --token TOKEN=SUBJECT[:SCOPE SCOPE...]    one that is good; may be repeated
  --issuer URL --audience AUD...            JWTs of this issuer for one of these audiences; may be
                                            repeated, each with its own
      [--jwks URL]                          where its keys are; else its metadata say
      [--lenient]                           of servers without RFC 9068
  --introspect URL --client-id ID --client-secret SECRET
      [--audience AUD]...                   the authorization server is asked (RFC 7662)
An --audience, --jwks or --lenient is for the --issuer (or --introspect) before it; what comes
before the first is for each that has none of its own. Introspection without an audience of its own
takes each that is named.

What else is asked for, and what refusals say:
  --scope SCOPE          every call needs it; may be repeated
  --role ROLE            every call needs it; may be repeated
      --role-claim CLAIM where roles are: a name, or a JSON pointer such as /realm_access/roles; may
                         be repeated
  --allow-client-id ID   only tokens of this client, of --issuer and --introspect; may be repeated
  --resource URL         where clients know this server: challenges point to its RFC 9728 metadata,
                         which are served at /.well-known/oauth-protected-resource and its path
  --dpop URL             where clients call this server: tokens that are bound to a key need a DPoP
                         proof for this origin and path (RFC 9449), and others are good as they are
      [--required]       no others are good
      [--nonces]         a proof needs a nonce of this server
  --optional             requests without a token pass
  --terse                refusals do not say what was wrong with the token
  --without-grpc         for a proxy that asks whether a request may pass (auth_request, ext_authz):
                         no refusal has status 200, gRPC's included, and preflights need a token
  --allow-plain-http     the authorization servers may be http:// on other machines; who is between
                         can then forge keys and answers

A good token is asked about again after 60 s, and a bad one after 10 s: so long a revocation goes
unnoticed. Certificates are checked against those that the system trusts, or those in the file that
the variable SSL_CERT_FILE names. Plain http is served to the machine itself alone.
";

/// What is served, and to whom.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) listen: SocketAddr,
    pub(crate) realm: String,
    pub(crate) accept: Vec<TokenLocation>,
    pub(crate) tokens: Vec<StaticToken>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) introspection: Option<Introspection>,
    pub(crate) holder: Holder,
    pub(crate) scopes: ScopeSet,
    pub(crate) roles: Vec<String>,
    pub(crate) resource: Option<String>,
    pub(crate) dpop: Option<Dpop>,
    pub(crate) optional: bool,
    pub(crate) terse: bool,
    pub(crate) without_grpc: bool,
    pub(crate) plain_http: bool,
}

/// How proofs are read.
#[derive(Debug)]
pub(crate) struct Dpop {
    pub(crate) url: String,
    pub(crate) is_required: bool,
    pub(crate) needs_nonces: bool,
}

#[derive(Debug)]
pub(crate) struct StaticToken {
    pub(crate) token: ClientSecret,
    pub(crate) principal: Principal,
}

/// An issuer of JWTs.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) identifier: String,
    pub(crate) audience: Vec<String>,
    pub(crate) jwks: Option<String>,
    pub(crate) lenient: bool,
}

#[derive(Debug)]
pub(crate) struct Introspection {
    pub(crate) url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: ClientSecret,
    pub(crate) audience: Vec<String>,
}

/// Who holds the tokens that are taken, whoever judges them.
#[derive(Debug, Default)]
pub(crate) struct Holder {
    pub(crate) client_ids: Vec<String>,
    pub(crate) role_claims: Vec<String>,
}

/// What was given so far; the rest of what belongs together may come later.
#[derive(Default)]
struct Given {
    issuers: Vec<Issuer>,
    /// What came before the first issuer.
    jwks: Option<String>,
    lenient: bool,
    /// What came before the first that judges.
    audience: Vec<String>,
    introspect: Option<String>,
    asked_audience: Vec<String>,
    /// `--introspect` came after the last `--issuer`.
    is_introspect_last: bool,
    client_id: Option<String>,
    client_secret: Option<ClientSecret>,
    dpop: Option<String>,
    is_required: bool,
    needs_nonces: bool,
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
        issuers: Vec::new(),
        introspection: None,
        holder: Holder::default(),
        scopes: ScopeSet::empty(),
        roles: Vec::new(),
        resource: None,
        dpop: None,
        optional: false,
        terse: false,
        without_grpc: false,
        plain_http: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Asked::Help),
            Long("listen") => arguments.listen = read(parser, "--listen", loopback)?,
            Long("realm") => arguments.realm = text(parser, "--realm")?,
            Long("accept") => arguments.accept = read(parser, "--accept", locations)?,
            Long("token") => arguments.tokens.push(read(parser, "--token", static_token)?),
            Long("jwks") => given.jwks(text(parser, "--jwks")?),
            Long("issuer") => given.issuer(text(parser, "--issuer")?),
            Long("audience") => given.audience(text(parser, "--audience")?),
            Long("lenient") => given.lenient(),
            Long("introspect") => {
                given.introspect = Some(text(parser, "--introspect")?);
                given.is_introspect_last = true;
            }
            Long("client-id") => given.client_id = Some(text(parser, "--client-id")?),
            Long("client-secret") => {
                given.client_secret = Some(text(parser, "--client-secret")?.into());
            }
            Long("scope") => {
                let scopes: ScopeSet = read(parser, "--scope", str::parse)?;
                arguments.scopes = ScopeSet::new(arguments.scopes.iter().chain(scopes.iter()))
                    .map_err(|why| wrong("--scope", why))?;
            }
            Long("role") => arguments.roles.push(text(parser, "--role")?),
            Long("role-claim") => {
                arguments.holder.role_claims.push(text(parser, "--role-claim")?);
            }
            Long("allow-client-id") => {
                arguments.holder.client_ids.push(text(parser, "--allow-client-id")?);
            }
            Long("resource") => arguments.resource = Some(text(parser, "--resource")?),
            Long("dpop") => given.dpop = Some(text(parser, "--dpop")?),
            Long("required") => given.is_required = true,
            Long("nonces") => given.needs_nonces = true,
            Long("optional") => arguments.optional = true,
            Long("terse") => arguments.terse = true,
            Long("without-grpc") => arguments.without_grpc = true,
            Long("allow-plain-http") => arguments.plain_http = true,
            other => return Err(other.unexpected()),
        }
    }
    given.complete(arguments).map(Asked::Run)
}

impl Given {
    fn issuer(&mut self, identifier: String) {
        let issuer = Issuer { identifier, audience: Vec::new(), jwks: None, lenient: false };
        self.issuers.push(issuer);
        self.is_introspect_last = false;
    }

    fn jwks(&mut self, url: String) {
        *self.issuers.last_mut().map_or(&mut self.jwks, |issuer| &mut issuer.jwks) = Some(url);
    }

    fn lenient(&mut self) {
        *self.issuers.last_mut().map_or(&mut self.lenient, |issuer| &mut issuer.lenient) = true;
    }

    fn audience(&mut self, audience: String) {
        match self.issuers.last_mut() {
            _ if self.is_introspect_last => self.asked_audience.push(audience),
            Some(issuer) => issuer.audience.push(audience),
            None => self.audience.push(audience),
        }
    }

    /// Puts together what belongs together.
    fn complete(mut self, mut arguments: Arguments) -> Result<Arguments, Error> {
        let judged = !self.issuers.is_empty() || self.introspect.is_some();
        if arguments.tokens.is_empty() && !judged {
            let why = "no token could be good: add --token, --issuer or --introspect";
            return Err(self.misplaced().err().unwrap_or(Error::Custom(why.into())));
        }
        self.misplaced()?;
        let holder = &arguments.holder;
        let names_holders = !holder.client_ids.is_empty() || !holder.role_claims.is_empty();
        if names_holders && !judged {
            let why = "and --role-claim go with --issuer or --introspect";
            return Err(wrong("--allow-client-id", why));
        }
        if !arguments.roles.is_empty() && holder.role_claims.is_empty() {
            return Err(wrong("--role", "where roles are: add --role-claim CLAIM"));
        }
        for issuer in &mut self.issuers {
            if issuer.audience.is_empty() {
                issuer.audience.clone_from(&self.audience);
            }
            if issuer.audience.is_empty() {
                return Err(wrong("--issuer", "whom its tokens must be for: add --audience AUD"));
            }
            issuer.lenient |= self.lenient;
        }
        if let (Some(jwks), [issuer]) = (self.jwks.take(), self.issuers.as_mut_slice()) {
            issuer.jwks.get_or_insert(jwks);
        }
        if self.asked_audience.is_empty() {
            self.asked_audience = self.audience;
            let named = self.issuers.iter().flat_map(|issuer| issuer.audience.iter().cloned());
            self.asked_audience.extend(named);
        }
        arguments.introspection = match (self.introspect, self.client_id, self.client_secret) {
            (Some(url), Some(client_id), Some(client_secret)) => {
                let audience = self.asked_audience;
                Some(Introspection { url, client_id, client_secret, audience })
            }
            (Some(_), ..) => {
                let why = "who asks: add --client-id ID and --client-secret SECRET";
                return Err(wrong("--introspect", why));
            }
            (None, None, None) => None,
            (None, ..) => {
                let why = "and --client-secret go with --introspect URL; for tokens of one client \
                           there is --allow-client-id ID";
                return Err(wrong("--client-id", why));
            }
        };
        let (is_required, needs_nonces) = (self.is_required, self.needs_nonces);
        arguments.dpop = self.dpop.map(|url| Dpop { url, is_required, needs_nonces });
        arguments.issuers = self.issuers;
        Ok(arguments)
    }

    /// Says which option is for nothing.
    fn misplaced(&self) -> Result<(), Error> {
        if self.dpop.is_none() && (self.is_required || self.needs_nonces) {
            return Err(wrong("--required", "and --nonces are about proofs: add --dpop URL"));
        }
        match (self.issuers.as_slice(), &self.introspect) {
            ([], _) if self.jwks.is_some() => {
                Err(wrong("--jwks", "whose keys they are: add --issuer URL"))
            }
            ([_, _, ..], _) if self.jwks.is_some() => {
                Err(wrong("--jwks", "whose keys they are: put it behind its --issuer URL"))
            }
            ([], _) if self.lenient => {
                Err(wrong("--lenient", "is for the JWTs of an --issuer URL"))
            }
            ([], None) if !self.audience.is_empty() => {
                Err(wrong("--audience", "goes with --issuer or --introspect"))
            }
            _ => Ok(()),
        }
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
        Some(("password", user)) => TokenLocation::basic_password(user),
        Some(("websocket", prefix)) => TokenLocation::websocket_protocol(prefix),
        Some(("websocket-pair", name)) => TokenLocation::websocket_protocol_pair(name),
        _ => {
            let ways = "header, query, basic, form, cookie=NAME, header=NAME, password=USER, \
                        websocket=PREFIX or websocket-pair=NAME";
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
