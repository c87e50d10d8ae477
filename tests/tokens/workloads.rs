//! Clients and subjects that others vouch for: assertions and tokens in files that are replaced
//! while the program runs.

use crate::{
    leaks::{assert_absent, debug, printed},
    scripted_endpoint::{Caller, Reply, Script, pairs, settle},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tower_oauth2::{
    ClientAuthentication, ClientSecret, ClientSecretSource, Clock,
    client::{ErrorKind, Grant, RefreshPolicy, StoreKeys, StorePolicy, TokenCache, TokenType},
    testing::InMemoryStore,
};

const SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// A JWT about `subject` that ends so many seconds from now.
pub(crate) fn jwt(subject: &str, ends_in: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let expiry = i64::try_from(now).unwrap() + ends_in;
    let claims = format!(r#"{{"sub":"{subject}","exp":{expiry}}}"#);
    format!("eyJhbGciOiJFUzI1NiJ9.{}.c2lnbmF0dXJl", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

/// A file of this test alone, which is removed at its end.
pub(crate) struct TokenFile(pub(crate) PathBuf);

impl TokenFile {
    pub(crate) fn of(text: impl AsRef<[u8]>) -> Self {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let file = Self(folder.join(format!("token-{}-{number}", std::process::id())));
        file.write(text);
        file
    }

    /// As the kubelet does: the old file or the new one, never a part.
    pub(crate) fn write(&self, text: impl AsRef<[u8]>) {
        let next = self.0.with_extension("next");
        fs::write(&next, text).unwrap();
        fs::rename(next, &self.0).unwrap();
    }

    fn client(&self) -> ClientAuthentication {
        ClientAuthentication::assertion_from_file(&self.0)
    }

    fn source(&self) -> ClientSecretSource {
        ClientSecretSource::from_file(&self.0)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The value of `name` in the newest request.
fn newest(script: &Script, name: &str) -> Option<String> {
    let form = script.requests().pop().unwrap().into_body();
    pairs(&form).into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

#[tokio::test]
async fn an_assertion_in_a_file_is_sent_with_its_type_and_with_an_id_only_if_there_is_one() {
    let file = TokenFile::of(format!("{}\n", jwt("pod", 600)));
    let jwt = fs::read_to_string(&file.0).unwrap();
    let closure = {
        let jwt = ClientSecret::from(jwt.trim_end());
        move || Ok::<_, std::convert::Infallible>(jwt.clone())
    };
    let usual = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for (client, id, typ) in [
        (file.client(), None, usual),
        (file.client().with_client_id("6e74"), Some("6e74"), usual),
        (file.client().with_assertion_type(SPIFFE), None, SPIFFE),
        (ClientAuthentication::assertion_from_fn(closure), None, usual),
    ] {
        assert_absent(&[jwt.trim_end()], &debug(&client));
        let script = Script::of([Reply::token("T", 60)]);
        script.endpoint(client).fetch(&Grant::client_credentials()).await.unwrap();
        assert_eq!(newest(&script, "client_id").as_deref(), id);
        assert_eq!(newest(&script, "client_assertion_type").as_deref(), Some(typ));
        assert_eq!(newest(&script, "client_assertion").as_deref(), Some(jwt.trim_end()));
        assert_eq!(newest(&script, "grant_type").as_deref(), Some("client_credentials"));
    }
}

#[tokio::test]
async fn a_file_without_a_usable_assertion_is_an_error_that_names_it_and_nothing_is_sent() {
    let whole = jwt("pod", 600);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let files = [
        (TokenFile::of(jwt("pod", -30)), " s ago"),
        (TokenFile::of(&whole[..60]), "it is cut off"),
        (TokenFile::of(&whole[..whole.len() - 12]), "it is cut off"),
        (TokenFile::of(""), "it is empty"),
        (TokenFile::of(vec![b'x'; 10 << 20]), "it is longer than 64 KiB"),
        (TokenFile::of(b"eyJ\xff\xfe.e30.x"), "invalid data"),
        (TokenFile(folder.clone()), "it is no regular file"),
        (TokenFile(folder.join("nothing-here")), "entity not found"),
    ];
    for (file, why) in files {
        let script = Script::of([Reply::token("T", 60)]);
        let subject = Grant::token_exchange(file.source(), &TokenType::JWT);
        let none = ClientAuthentication::none();
        for (client, grant) in [
            (file.client(), Grant::client_credentials()),
            (none.clone(), Grant::jwt_bearer(file.source())),
            (none.clone(), subject.clone()),
            (
                none,
                Grant::token_exchange("S", &TokenType::JWT)
                    .with_actor_token(file.source(), &TokenType::JWT)
                    .unwrap(),
            ),
        ] {
            let error = script.endpoint(client).fetch(&grant).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Source, "{error}");
            assert!(error.is_transient());
            let text = printed(&error);
            assert!(text.contains(why), "{why}: {text}");
            assert!(text.contains(&*file.0.to_string_lossy()), "{text}");
            assert!(text.len() < 4096);
            let held = fs::read(&file.0).unwrap_or_default();
            let held = String::from_utf8_lossy(&held).chars().take(200).collect::<String>();
            assert!(held.is_empty() || !text.contains(&held), "{text}");
        }
        assert_eq!(script.asked(), 0, "{why}");
    }
}

#[tokio::test]
async fn a_refused_assertion_is_sent_again_at_once_when_the_file_holds_another() {
    let refusal = || Reply::status(401).with_body(r#"{"error":"invalid_client"}"#);
    let file = TokenFile::of(jwt("old", 600));
    type Made = fn(&TokenFile) -> (ClientAuthentication, Grant);
    let made: [(Made, &str); 3] = [
        (|file| (file.client(), Grant::client_credentials()), "client_assertion"),
        (|file| (ClientAuthentication::none(), Grant::jwt_bearer(file.source())), "assertion"),
        (
            |file| {
                let grant = Grant::token_exchange(file.source(), &TokenType::JWT);
                (ClientAuthentication::public("id"), grant.allow_missing_issued_token_type())
            },
            "subject_token",
        ),
    ];
    for (made, name) in made {
        file.write(jwt("old", 600));
        let script = Script::of([refusal(), Reply::token("T", 60)]);
        let (client, grant) = made(&file);
        let caller = Caller::with_grant(script.endpoint(client), grant, RefreshPolicy::default());
        assert_eq!(caller.call().await.unwrap_err().code(), Some("invalid_client"));
        // The same one is not worth another request.
        assert_eq!(caller.call().await.unwrap_err().code(), Some("invalid_client"));
        assert_eq!(script.asked(), 1);
        let renewed = jwt("new", 600);
        file.write(&renewed);
        assert_eq!(caller.call().await.unwrap(), "Bearer T", "while the clock stands still");
        assert_eq!(newest(&script, name), Some(renewed));
    }
}

#[tokio::test]
async fn an_assertion_that_is_cut_inside_its_signature_is_sent_and_the_whole_one_after_the_refusal()
{
    let refusal = Reply::status(401).with_body(r#"{"error":"invalid_client"}"#);
    let whole = jwt("pod", 600);
    let cut = &whole[..whole.len() - 3];
    let file = TokenFile::of(cut);
    let script = Script::of([refusal, Reply::token("T", 60)]);
    let endpoint = script.endpoint(file.client());
    let caller =
        Caller::with_grant(endpoint, Grant::client_credentials(), RefreshPolicy::default());
    assert_eq!(caller.call().await.unwrap_err().code(), Some("invalid_client"));
    assert_eq!(newest(&script, "client_assertion").as_deref(), Some(cut));
    file.write(&whole);
    assert_eq!(caller.call().await.unwrap(), "Bearer T");
}

#[tokio::test]
async fn a_token_serves_on_while_the_file_is_bad_and_a_good_file_is_used_at_once() {
    let file = TokenFile::of(jwt("one", 10_000));
    let script = Script::of([Reply::token("T1", 600), Reply::token("T2", 600)]);
    let endpoint = script.endpoint(file.client());
    let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
    let caller = Caller::with_grant(endpoint, Grant::client_credentials(), policy);
    assert_eq!(caller.call().await.unwrap(), "Bearer T1");
    file.write("");
    caller.advance(Duration::from_secs(550)).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer T1");
    settle().await;
    assert_eq!((caller.call().await.unwrap().as_str(), script.asked()), ("Bearer T1", 1));
    // It has expired, and a try was just made.
    caller.advance(Duration::from_secs(50)).await;
    let error = caller.call().await.unwrap_err();
    assert!(error.to_string().contains("it is empty"), "{error}");
    file.write(jwt("two", 10_000));
    assert_eq!(caller.call().await.unwrap(), "Bearer T2");
}

#[test]
fn tokens_of_a_nameless_assertion_or_a_file_are_not_shared_by_a_store() {
    let file = TokenFile::of("x");
    let store = |client, grant| {
        let endpoint = Script::of([]).endpoint(client);
        let cache = TokenCache::new(endpoint, grant, RefreshPolicy::default());
        cache.with_store(
            Arc::new(InMemoryStore::new()),
            StoreKeys::new(&[7; 32]).unwrap(),
            StorePolicy::default(),
        )
    };
    let (basic, own) = (ClientAuthentication::basic("id", "s"), Grant::client_credentials());
    assert!(store(file.client(), own.clone()).is_err());
    assert!(store(basic.clone(), Grant::jwt_bearer(file.source())).is_err());
    assert!(store(file.client().with_client_id("id"), own).is_ok());
    assert!(store(basic, Grant::jwt_bearer("fixed")).is_ok());
}

/// An API behind the token in `file`, and the clock by which that is read.
fn api_of(file: &TokenFile) -> Caller {
    let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
    Caller::with_cache(|clock| TokenCache::from_file(&file.0, policy, clock))
}

#[tokio::test]
async fn a_token_file_is_read_again_within_a_minute_and_without_a_good_one_the_last_serves() {
    let (one, two) = (jwt("one", 7200), jwt("two", 7200));
    let file = TokenFile::of(format!("{one}\n"));
    let api = api_of(&file);
    assert_eq!(api.call().await.unwrap(), format!("Bearer {one}"));
    file.write(&two);
    api.advance(Duration::from_secs(60)).await;
    assert_eq!(api.call().await.unwrap(), format!("Bearer {two}"));
    for bad in ["", &two[..50], "caf\u{e9} au lait", &jwt("old", -1)] {
        file.write(bad);
        api.advance(Duration::from_secs(600)).await;
        assert_eq!(api.call().await.unwrap(), format!("Bearer {two}"), "{bad}");
    }
    // No longer than it says itself.
    api.advance(Duration::from_secs(7200 - 4 * 600)).await;
    let error = api.call().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_absent(&[&one, &two], &printed(&error));
}

#[tokio::test]
async fn a_token_that_the_api_rejects_is_read_again_once_and_the_call_repeated_with_another() {
    let (one, two) = (jwt("one", 7200), jwt("two", 7200));
    let file = TokenFile::of(&one);
    let api = api_of(&file);
    assert_eq!(api.call().await.unwrap(), format!("Bearer {one}"));
    api.api_answers(http::StatusCode::UNAUTHORIZED);
    api.call().await.unwrap();
    assert_eq!(api.calls(), 2, "the file holds the same token");
    file.write(&two);
    api.advance(Duration::from_secs(2)).await;
    assert_eq!(api.call().await.unwrap(), format!("Bearer {two}"));
    assert_eq!(api.calls(), 4, "and once more with the other one");
}

#[tokio::test]
async fn a_file_that_never_held_a_token_is_an_error_that_names_it() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (file, why) in [
        (TokenFile(folder.join("never-here")), "entity not found"),
        (TokenFile(folder), "no regular file"),
        (TokenFile::of(" \n"), "not visible ASCII"),
        (TokenFile::of("two words"), "not visible ASCII"),
        (TokenFile::of(jwt("x", -60)), " s ago"),
        (TokenFile::of(vec![b'x'; 10 << 20]), "64 KiB"),
        (TokenFile::of(vec![b'x'; 17 << 10]), "16 KiB"),
    ] {
        let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
        let cache = TokenCache::from_file(&file.0, policy, Clock::system());
        let error = cache.access_token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Source, true));
        let text = printed(&error);
        assert!(text.contains(why) && text.contains(&*file.0.to_string_lossy()), "{text}");
    }
}
