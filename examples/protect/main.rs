//! A protected HTTP server, to try any client against: `cargo run --example protect -- --help`.
//!
//! | file | shows |
//! |---|---|
//! | `main.rs` | the layers of a server, from the outermost to the service |
//! | `validators.rs` | tokens known beforehand, JWTs and introspection, alone or together |
//! | `answer.rs` | what a service reads of the token: JSON, and gRPC |
//! | `arguments.rs` | the command line |
#![allow(clippy::print_stdout, reason = "it says where it listens")]

mod answer;
mod arguments;
#[path = "../support/causes.rs"]
mod causes;
#[path = "../support/command_line.rs"]
mod command_line;
#[path = "../support/serve.rs"]
mod serve;
mod validators;

use answer::answer;
use arguments::Arguments;
use axum::body::Body;
use causes::with_causes;
use command_line::asked;
use http::{
    HeaderName, Response,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use serve::{listen, serve};
use std::process::ExitCode;
use tower::{BoxError, ServiceBuilder, service_fn, util::option_layer};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use tower_oauth2::{
    ConfigError,
    server::{
        AuditEvent, BufferForm, Dpop, DpopNonces, DrainRefused, EndWithToken, RenderRefusals,
        RequireRole, RequireScope, RequireToken,
    },
    validate::SharedValidator,
};

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

#[tokio::main]
async fn main() -> ExitCode {
    let parsed = arguments::parse(lexopt::Parser::from_env());
    let arguments = match asked(parsed, "protect", arguments::HELP) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("protect: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), BoxError> {
    let require_token = require_token(arguments)?;
    let metadata = match &arguments.resource {
        Some(_) => {
            let metadata = require_token.resource_metadata()?;
            let issuers = arguments.issuers.iter().map(|issuer| &issuer.identifier);
            Some(metadata.with_authorization_servers(issuers)?)
        }
        None => None,
    };
    let require_scope = match arguments.scopes.is_empty() {
        true => None,
        false => Some(RequireScope::all_of(arguments.scopes.iter())?),
    };
    let require_role = match arguments.roles.as_slice() {
        [] => None,
        roles => Some(RequireRole::all_of(roles.iter().map(String::as_str))?),
    };
    let service = ServiceBuilder::new()
        // Callers, and proxies in front, see the refusal of an upload too.
        .layer(DrainRefused::new())
        // It answers every OPTIONS with 200, which a proxy would take for permission.
        .layer(option_layer((!arguments.without_grpc).then(cors)))
        .layer(RenderRefusals::problem_json())
        .layer(option_layer(metadata))
        .layer(BufferForm::default())
        .layer(require_token)
        .layer(option_layer(require_scope))
        .layer(option_layer(require_role))
        .map_response(|response: Response<_>| response.map(Body::new))
        .layer(EndWithToken::new())
        .service(service_fn(answer));
    let listener = listen(arguments.listen).await?;
    Ok(serve(listener, service).await?)
}

fn require_token(arguments: &Arguments) -> Result<RequireToken<SharedValidator>, ConfigError> {
    let validator = validators::validator(arguments)?;
    let mut layer = RequireToken::new(arguments.realm.as_str(), validator)?
        .with_locations(arguments.accept.iter().cloned())?
        .with_scope_hint(arguments.scopes.clone())
        .with_audit(log);
    if let Some(resource) = &arguments.resource {
        layer = layer.with_resource(resource.as_str())?;
    }
    if let Some(dpop) = &arguments.dpop {
        layer = layer.with_dpop(proofs(dpop)?);
    }
    if arguments.optional {
        layer = layer.allow_anonymous();
    }
    if arguments.without_grpc {
        layer = layer.without_grpc();
    }
    Ok(if arguments.terse { layer.with_terse_refusals() } else { layer })
}

fn proofs(arguments: &arguments::Dpop) -> Result<Dpop, ConfigError> {
    let mut dpop = Dpop::new(&arguments.url)?;
    if arguments.is_required {
        dpop = dpop.without_bearer();
    }
    Ok(match arguments.needs_nonces {
        true => dpop.with_nonces(DpopNonces::random()?),
        false => dpop,
    })
}

/// Pages of any origin may call, and read the answers. Preflights, which carry no token, end here.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(Any)
        // `*` would not let `Authorization` through.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([WWW_AUTHENTICATE, RETRY_AFTER, DPOP_NONCE, GRPC_STATUS, GRPC_MESSAGE])
}

/// A line for each decision. What came from outside is escaped.
fn log(event: &AuditEvent<'_>) {
    let verdict = if event.allowed { "allowed" } else { "refused" };
    let why = event.rejection.map_or("-", |kind| kind.as_str());
    let at = event.location.map_or("-", |location| location.kind());
    let token = event.token_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let subject = event.principal.and_then(|principal| principal.subject()).unwrap_or("-");
    let client = event.principal.and_then(|principal| principal.client_id()).unwrap_or("-");
    let reason = event.description;
    eprintln!(
        "{verdict} why={why} at={at} token={token} sub={subject:?} client={client:?} \
         reason={reason:?}"
    );
}
