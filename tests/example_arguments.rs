//! The command lines of the examples: what is read, and what a wrong one says.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]
#![allow(clippy::indexing_slicing, reason = "a panic is the verdict of a test")]
#![allow(dead_code, reason = "the programs use what is read")]
#![allow(clippy::print_stdout, reason = "the programs print their help")]

#[path = "../examples/support/command_line.rs"]
mod command_line;
#[path = "../examples/support/serve.rs"]
mod serve;

#[path = "../examples/protect/arguments.rs"]
mod protect;

use command_line::Asked;
use lexopt::{Error, Parser};
use tower_oauth2::TokenLocation;

/// Reads a command line of which no value has a space.
fn read<A>(parse: fn(Parser) -> Result<Asked<A>, Error>, line: &str) -> Result<A, String> {
    read_words(parse, &line.split_whitespace().collect::<Vec<_>>())
}

fn read_words<A>(
    parse: fn(Parser) -> Result<Asked<A>, Error>,
    words: &[&str],
) -> Result<A, String> {
    match parse(Parser::from_args(words.iter().copied())) {
        Ok(Asked::Run(arguments)) => Ok(arguments),
        Ok(Asked::Help) => Err("help".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Each line is refused with a text that holds what is beside it.
#[track_caller]
fn assert_refused<A>(
    parse: fn(Parser) -> Result<Asked<A>, Error>,
    lines: impl IntoIterator<Item = (&'static str, &'static str)>,
) {
    for (line, says) in lines {
        let said = read(parse, line).map(drop).unwrap_err();
        assert!(said.contains(says), "{line}: {said}");
    }
}

#[test]
fn protect_has_a_free_port_and_reads_the_header_where_nothing_else_is_said() {
    let arguments = read(protect::parse, "--token abc=alice").unwrap();
    assert_eq!(arguments.listen.to_string(), "127.0.0.1:0");
    assert_eq!(arguments.accept, [TokenLocation::Bearer]);
    assert_eq!(arguments.tokens[0].token.expose(), "abc");
    assert_eq!(arguments.tokens[0].principal.subject(), Some("alice"));
    assert!(!arguments.optional && !arguments.terse);
}

#[test]
fn a_token_may_end_in_equals_signs_and_its_scopes_may_have_colons() {
    let words = ["--token", "b-._~+/b===bob:read api:write"];
    let arguments = read_words(protect::parse, &words).unwrap();
    let token = &arguments.tokens[0];
    assert_eq!(token.token.expose(), "b-._~+/b==");
    assert_eq!(token.principal.subject(), Some("bob"));
    assert_eq!(token.principal.scopes().as_str(), "read api:write");
}

#[test]
fn protect_reads_tokens_in_every_way_that_is_named() {
    let line = "--token abc=alice --accept=header,query,basic,form,cookie=sid,header=x-api-key";
    let arguments = read(protect::parse, line).unwrap();
    assert_eq!(arguments.accept[..2], [TokenLocation::Bearer, TokenLocation::Query]);
    let named =
        [TokenLocation::cookie("sid").unwrap(), TokenLocation::header("x-api-key").unwrap()];
    assert_eq!(arguments.accept[4..], named);
}

#[test]
fn what_belongs_together_comes_in_any_order() {
    let line = "--lenient --audience one --jwks http://127.0.0.1/jwks --scope read --audience two \
                --issuer http://127.0.0.1 --client-secret s3cr3t --introspect http://127.0.0.1/i \
                --scope write --client-id rs --optional --terse --realm r --resource https://a/b";
    let arguments = read(protect::parse, line).unwrap();
    let issuer = arguments.issuer.unwrap();
    assert!(issuer.lenient);
    assert_eq!(issuer.jwks.as_deref(), Some("http://127.0.0.1/jwks"));
    assert_eq!(arguments.audience, ["one", "two"]);
    assert_eq!(arguments.introspection.unwrap().client_id, "rs");
    assert_eq!(arguments.scopes.as_str(), "read write");
}

#[test]
fn protect_says_what_is_wrong_and_what_would_be_right() {
    assert_refused(
        protect::parse,
        [
            ("", "add --token, --issuer or --introspect"),
            ("--help", "help"),
            ("--tokn x", "--tokn"),
            ("stray", "stray"),
            ("--token", "missing argument"),
            ("--token abc", "TOKEN=SUBJECT[:SCOPE SCOPE...]"),
            ("--token abc=", "TOKEN=SUBJECT"),
            ("--token =abc", "TOKEN=SUBJECT"),
            ("--listen 0.0.0.0:80", "only the machine itself"),
            ("--listen localhost", "such as 127.0.0.1:8080"),
            ("--accept", "missing argument"),
            ("--accept sideways", "header, query, basic, form, cookie=NAME or header=NAME"),
            ("--accept header=cookie", "cannot carry a token"),
            ("--jwks http://127.0.0.1/jwks", "add --issuer"),
            ("--issuer http://127.0.0.1", "add --audience"),
            ("--token abc=alice --lenient", "--issuer"),
            ("--token abc=alice --audience a", "--issuer or --introspect"),
            ("--introspect http://127.0.0.1/i --client-id a", "--client-secret"),
            ("--token abc=alice --client-id a", "--introspect"),
            ("--token abc=alice --scope a\"b", "--scope"),
        ],
    );
}

#[test]
fn no_error_repeats_a_value_that_may_be_a_secret() {
    for line in ["--token hunter2", "--token =hunter2", "--token hunter2=a:\"", "--client-secret="]
    {
        assert!(!read(protect::parse, line).unwrap_err().contains("hunter2"), "{line}");
    }
    let arguments = read(protect::parse, "--token hunter2=alice").unwrap();
    assert!(!format!("{arguments:#?}").contains("hunter2"));
}
