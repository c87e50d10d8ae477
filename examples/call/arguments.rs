//! The command line.

use crate::command_line::{Asked, duration, read, text, wrong};
use http::{Method, Uri};
use lexopt::{
    Arg::{Long, Short, Value},
    Error, Parser,
};
use std::{path::PathBuf, time::Duration};
use tower_oauth2::{ClientSecret, Origin, ScopeSet, TokenLocation};

pub(crate) const HELP: &str = "\
Calls an API with an access token that it gets by itself, and keeps.

  cargo run --example call -- --token-url https://as.example/token \\
      --client-id ID --client-secret SECRET https://api.example/calls

The status and the body of each call go to standard output; at the end the numbers of calls, of
token requests and of calls that were repeated with another token go to standard error. The token
goes to the origin of the URL and nowhere else. The program succeeds when every call got a 2xx.

Where the token comes from:
  --token-url URL | --issuer URL    the token endpoint, or whose metadata name it
  --client-id ID, --client-secret SECRET
  --auth HOW        basic (the default with a secret), basic-raw, post, query, secret-jwt,
                    private-key-jwt=JWK_FILE, tls (the default with --client-certificate), none (the
                    default without a secret)
  --assertion-file FILE    an assertion that others issue, such as a Kubernetes token, in the place of
                    --auth; FILE is read for each token request, --client-id may be left out
  --grant GRANT     client_credentials (the default), password=USER:PASS, jwt-bearer=FILE with an
                    assertion (the client may be left out), exchange=TOKEN of an access token,
                    device: you sign in with a browser, or login=USER:PASS: a form of both, to an
                    endpoint that knows neither grants nor clients
  --device-url URL  where --grant device gets its code; with --issuer the metadata name it
  --lenient-exchange       takes an answer to exchange= that does not name the type of its token
  --scope SCOPE, --resource URI, --param NAME=VALUE    may be repeated
  --audience AUD
  --dpop            binds the token to a new key, and proves it on every call (RFC 9449)

How the authorization server is reached:
  --proxy-from-env            through the proxy of HTTPS_PROXY, except servers of NO_PROXY
  --root-certificates FILE    trusting the authorities in FILE (PEM) alone
  --client-certificate CERT_FILE,KEY_FILE    showing this certificate (PEM), read again when it changes

How the API is called:
  --place WAY       header (the default), query, basic, header=NAME
  --method METHOD   default GET, or POST with a body
  --data BODY       sent as JSON where it is JSON, as a form where it is not
  --repeat N        default 1
  --every TIME      the time from one call to the next: 500ms, 2s, 1m; default none
  --concurrency N   how many calls may be under way at once; default 1

  --allow-plain-http    whoever is on the way reads the secret and the token
";

/// What is called, and how the token for it is had.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) url: Uri,
    pub(crate) from: From,
    pub(crate) client_id: Option<String>,
    pub(crate) authentication: Authentication,
    pub(crate) grant: Grant,
    pub(crate) device_url: Option<String>,
    pub(crate) lenient_exchange: bool,
    pub(crate) scopes: ScopeSet,
    pub(crate) audience: Option<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) params: Vec<(String, ClientSecret)>,
    pub(crate) reached: Reached,
    pub(crate) dpop: bool,
    pub(crate) place: TokenLocation,
    pub(crate) method: Method,
    pub(crate) data: Option<String>,
    pub(crate) repeat: u64,
    pub(crate) every: Option<Duration>,
    pub(crate) concurrency: usize,
    pub(crate) plain_http: bool,
}

/// Where the token endpoint is.
#[derive(Debug)]
pub(crate) enum From {
    TokenUrl(String),
    Issuer(String),
}

/// How the authorization server is reached.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    pub(crate) proxy_from_env: bool,
    pub(crate) root_certificates: Option<PathBuf>,
    /// The files of the certificate and of its key.
    pub(crate) client_certificate: Option<[PathBuf; 2]>,
}

/// How the client authenticates, with what it takes.
#[derive(Debug)]
pub(crate) enum Authentication {
    Basic(ClientSecret),
    BasicRaw(ClientSecret),
    Post(ClientSecret),
    Query(ClientSecret),
    SecretJwt(ClientSecret),
    PrivateKeyJwt(PathBuf),
    Tls,
    AssertionFile(PathBuf),
    None,
}

#[derive(Clone, Debug)]
pub(crate) enum Grant {
    ClientCredentials,
    Password(User),
    /// A file with the assertion, which is read for each token request.
    JwtBearer(PathBuf),
    Exchange(ClientSecret),
    Device,
    LogIn(User),
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: ClientSecret,
}

/// What was given so far; what belongs together may come in any order.
#[derive(Default)]
struct Given {
    url: Option<Uri>,
    token_url: Option<String>,
    issuer: Option<String>,
    client_id: Option<String>,
    client_secret: Option<ClientSecret>,
    auth: Option<String>,
    assertion_file: Option<PathBuf>,
    device_url: Option<String>,
    lenient_exchange: bool,
    grant: Option<Grant>,
    scopes: ScopeSet,
    audience: Option<String>,
    resources: Vec<String>,
    params: Vec<(String, ClientSecret)>,
    reached: Reached,
    dpop: bool,
    place: Option<TokenLocation>,
    method: Option<Method>,
    data: Option<String>,
    repeat: Option<u64>,
    every: Option<Duration>,
    concurrency: Option<usize>,
    plain_http: bool,
}

/// Reads a command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Asked<Arguments>, Error> {
    let mut given = Given::default();
    while let Some(argument) = parser.next()? {
        let option = match argument {
            Short('h') | Long("help") => return Ok(Asked::Help),
            Value(url) if given.url.is_none() => {
                let url = url.into_string().ok().and_then(|url| url.parse().ok());
                let url = url.filter(|url| Origin::from_uri(url).is_some());
                let form = "it has to be absolute, such as https://api.example/calls";
                given.url = Some(url.ok_or_else(|| wrong("the URL", form))?);
                continue;
            }
            Long(option) => format!("--{option}"),
            other => return Err(other.unexpected()),
        };
        if !given.token_option(&mut parser, &option)? && !given.call_option(&mut parser, &option)? {
            return Err(Error::UnexpectedOption(option));
        }
    }
    given.complete().map(Asked::Run)
}

impl Given {
    /// Reads an option about the token, where it is one.
    fn token_option(&mut self, parser: &mut Parser, option: &str) -> Result<bool, Error> {
        match option {
            "--token-url" => self.token_url = Some(text(parser, option)?),
            "--issuer" => self.issuer = Some(text(parser, option)?),
            "--client-id" => self.client_id = Some(text(parser, option)?),
            "--client-secret" => self.client_secret = Some(text(parser, option)?.into()),
            "--auth" => self.auth = Some(text(parser, option)?),
            "--assertion-file" => self.assertion_file = Some(text(parser, option)?.into()),
            "--device-url" => self.device_url = Some(text(parser, option)?),
            "--lenient-exchange" => self.lenient_exchange = true,
            "--grant" => self.grant = Some(read(parser, option, grant)?),
            "--scope" => {
                let scopes: ScopeSet = read(parser, option, str::parse)?;
                self.scopes = ScopeSet::new(self.scopes.iter().chain(scopes.iter()))
                    .map_err(|why| wrong(option, why))?;
            }
            "--audience" => self.audience = Some(text(parser, option)?),
            "--resource" => self.resources.push(text(parser, option)?),
            "--param" => self.params.push(read(parser, option, param)?),
            "--proxy-from-env" => self.reached.proxy_from_env = true,
            "--root-certificates" => {
                self.reached.root_certificates = Some(text(parser, option)?.into());
            }
            "--client-certificate" => {
                self.reached.client_certificate = Some(read(parser, option, certificate)?);
            }
            "--dpop" => self.dpop = true,
            "--allow-plain-http" => self.plain_http = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads an option about the calls, where it is one.
    fn call_option(&mut self, parser: &mut Parser, option: &str) -> Result<bool, Error> {
        match option {
            "--place" => self.place = Some(read(parser, option, place)?),
            "--method" => self.method = Some(read(parser, option, str::parse)?),
            "--data" => self.data = Some(read(parser, option, |text| Ok::<_, Error>(text.into()))?),
            "--repeat" => self.repeat = Some(read(parser, option, at_least_one)?),
            "--every" => self.every = Some(read(parser, option, duration)?),
            "--concurrency" => {
                let calls = read(parser, option, at_least_one)?;
                self.concurrency = Some(usize::try_from(calls).unwrap_or(usize::MAX));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Puts together what belongs together.
    fn complete(mut self) -> Result<Arguments, Error> {
        let missing = |why: &str| Error::Custom(why.into());
        let from = match (self.token_url.take(), self.issuer.take()) {
            (Some(url), None) => From::TokenUrl(url),
            (None, Some(issuer)) => From::Issuer(issuer),
            (None, None) => {
                return Err(missing("where is the token from? --token-url URL or --issuer URL"));
            }
            (Some(_), Some(_)) => return Err(wrong("--issuer", "stands in for --token-url")),
        };
        let grant = self.grant.take().unwrap_or(Grant::ClientCredentials);
        let authentication = self.authentication(&grant)?;
        self.fits(&grant, &from)?;
        let url = self.url.take().ok_or_else(|| missing("what is called? the URL is missing"))?;
        self.is_safe(&from, &url)?;
        if self.dpop && self.place.as_ref().is_some_and(|place| *place != TokenLocation::Bearer) {
            return Err(wrong("--dpop", "the token then goes into the header: leave --place out"));
        }
        let method = if self.data.is_some() { Method::POST } else { Method::GET };
        Ok(Arguments {
            url,
            from,
            client_id: self.client_id,
            authentication,
            grant,
            device_url: self.device_url,
            lenient_exchange: self.lenient_exchange,
            scopes: self.scopes,
            audience: self.audience,
            resources: self.resources,
            params: self.params,
            reached: self.reached,
            dpop: self.dpop,
            place: self.place.unwrap_or(TokenLocation::Bearer),
            method: self.method.unwrap_or(method),
            data: self.data,
            repeat: self.repeat.unwrap_or(1),
            every: self.every,
            concurrency: self.concurrency.unwrap_or(1),
            plain_http: self.plain_http,
        })
    }

    /// Whether what belongs to one grant was given with it.
    fn fits(&self, grant: &Grant, from: &From) -> Result<(), Error> {
        match (grant, from) {
            (Grant::Device, From::TokenUrl(_)) if self.device_url.is_none() => {
                Err(wrong("--grant device", "add --device-url URL, or --issuer for --token-url"))
            }
            (Grant::Device, _) => Ok(()),
            _ if self.device_url.is_some() => {
                Err(wrong("--device-url", "it is for --grant device alone"))
            }
            (Grant::Exchange(_), _) => Ok(()),
            _ if self.lenient_exchange => {
                Err(wrong("--lenient-exchange", "it is for --grant exchange=TOKEN alone"))
            }
            _ => Ok(()),
        }
    }

    /// Whether nobody on the way reads the secret or the token, unless that was allowed. What is
    /// no URL is looked at where it is used.
    fn is_safe(&self, from: &From, called: &Uri) -> Result<(), Error> {
        let (option, url) = match from {
            From::TokenUrl(url) => ("--token-url", url.parse().ok()),
            From::Issuer(issuer) => ("--issuer", issuer.parse().ok()),
        };
        for (what, url) in [(option, url.as_ref()), ("the URL", Some(called))] {
            let is_safe = url.and_then(Origin::from_uri).is_none_or(|origin| origin.is_secure());
            if !is_safe && !self.plain_http {
                let why = "this is plain http to another machine; --allow-plain-http takes it";
                return Err(wrong(what, why));
            }
        }
        Ok(())
    }

    fn authentication(&mut self, grant: &Grant) -> Result<Authentication, Error> {
        let how = self.auth.take();
        if matches!(grant, Grant::LogIn(_)) {
            let file = self.assertion_file.is_some();
            return match (how, &self.client_id, &self.client_secret) {
                (None, None, None) if !file => Ok(Authentication::None),
                _ => Err(wrong("--grant login", "no client is named: no --client-id, no --auth")),
            };
        }
        if let Some(file) = self.assertion_file.take() {
            return match (how, &self.client_secret) {
                (None, None) => Ok(Authentication::AssertionFile(file)),
                _ => Err(wrong("--assertion-file", "it stands in for --auth and --client-secret")),
            };
        }
        if self.client_id.is_none() {
            // RFC 7521 §4.1: the assertion may be all.
            if matches!(grant, Grant::JwtBearer(_)) && how.is_none() && self.client_secret.is_none()
            {
                return Ok(Authentication::None);
            }
            return Err(Error::Custom("who asks for the token? add --client-id ID".into()));
        }
        let default = match (&self.client_secret, &self.reached.client_certificate) {
            (Some(_), _) => "basic",
            (None, Some(_)) => "tls",
            (None, None) => "none",
        };
        let (how, file) = match how.as_deref().unwrap_or(default).split_once('=') {
            Some((how, file)) => (how.to_owned(), Some(PathBuf::from(file))),
            None => (how.unwrap_or_else(|| default.into()), None),
        };
        let secret = || {
            let missing = || wrong("--auth", format!("{how} needs --client-secret SECRET"));
            self.client_secret.clone().ok_or_else(missing)
        };
        Ok(match (how.as_str(), file) {
            ("basic", None) => Authentication::Basic(secret()?),
            ("basic-raw", None) => Authentication::BasicRaw(secret()?),
            ("post", None) => Authentication::Post(secret()?),
            ("query", None) => Authentication::Query(secret()?),
            ("secret-jwt", None) => Authentication::SecretJwt(secret()?),
            ("none" | "tls" | "private-key-jwt", _) if self.client_secret.is_some() => {
                return Err(wrong("--auth", format!("{how} has no use for --client-secret")));
            }
            ("private-key-jwt", Some(file)) => Authentication::PrivateKeyJwt(file),
            ("tls", None) if self.reached.client_certificate.is_some() => Authentication::Tls,
            ("tls", None) => {
                return Err(wrong("--auth", "tls needs --client-certificate CERT_FILE,KEY_FILE"));
            }
            ("none", None) => Authentication::None,
            _ => {
                let ways = "basic, basic-raw, post, query, secret-jwt, private-key-jwt=JWK_FILE, \
                            tls, none";
                return Err(wrong("--auth", format!("it is one of {ways}")));
            }
        })
    }
}

fn grant(text: &str) -> Result<Grant, &'static str> {
    let (kind, value) = text.split_once('=').unwrap_or((text, ""));
    match (kind, value) {
        ("client_credentials", "") => Ok(Grant::ClientCredentials),
        ("password", user) => read_user(user).map(Grant::Password),
        ("device", "") => Ok(Grant::Device),
        ("login", user) => read_user(user).map(Grant::LogIn),
        ("jwt-bearer" | "exchange", "") => Err("there is nothing behind the ="),
        ("jwt-bearer", file) => Ok(Grant::JwtBearer(file.into())),
        ("exchange", token) => Ok(Grant::Exchange(token.into())),
        _ => Err("it is one of client_credentials, password=USER:PASS, jwt-bearer=FILE, \
                  exchange=TOKEN, device, login=USER:PASS"),
    }
}

fn read_user(text: &str) -> Result<User, &'static str> {
    let (name, password) = text.split_once(':').ok_or("USER and PASS have a colon between them")?;
    Ok(User { name: name.into(), password: password.into() })
}

fn param(text: &str) -> Result<(String, ClientSecret), &'static str> {
    let (name, value) = text.split_once('=').ok_or("the form is NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

fn certificate(text: &str) -> Result<[PathBuf; 2], &'static str> {
    let (certificate, key) = text.split_once(',').ok_or("the form is CERT_FILE,KEY_FILE")?;
    Ok([certificate.into(), key.into()])
}

fn place(text: &str) -> Result<TokenLocation, String> {
    match text.split_once('=') {
        None if text == "header" => Ok(TokenLocation::Bearer),
        None if text == "query" => Ok(TokenLocation::Query),
        None if text == "basic" => Ok(TokenLocation::BasicUserName),
        Some(("header", name)) => TokenLocation::header(name).map_err(|why| why.to_string()),
        _ => Err("it is one of header, query, basic, header=NAME".into()),
    }
}

fn at_least_one(text: &str) -> Result<u64, &'static str> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("it is a number from 1"),
    }
}
