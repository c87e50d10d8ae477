//! Attacks by a payload that its issuer signed: one that readers disagree about, or one that is
//! no access token.

use crate::{
    api::{
        AUDIENCE, Api, ISSUER, KEYS, NOW, claiming, claims, encoded, good, header, key_of, signed,
        token, with,
    },
    raw::{self, Change},
};
use serde_json::{Value, json};
use tower_oauth2::validate::TrustedIssuer;

/// The payload `text`, signed.
fn saying(text: impl AsRef<[u8]>) -> String {
    signed(&key_of(ISSUER, "k1"), header("ES256", "k1").to_string(), text)
}

/// The claims as text, and further members before them, after them.
fn around(before: &str, after: &str) -> String {
    let claims = claims().to_string();
    let inside = claims.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    format!("{{{before}{inside}{after}}}")
}

#[tokio::test]
async fn a_member_that_is_there_twice_however_it_is_spelled_and_wherever_it_is() {
    let api = Api::new();
    for (before, after) in [
        (r#""sub":"mallory","#, ""),
        ("", r#","sub":"mallory""#),
        ("", r#","sub":"alice""#),
        ("", r#","s\u0075b":"mallory""#),
        (r#""\u0073\u0075\u0062":"mallory","#, ""),
        ("", r#","exp":9999999999"#),
        (r#""aud":["https://evil.example"],"#, ""),
        ("", r#","iss":"https://other.example""#),
        ("", r#","scope":"admin""#),
        ("", r#","a":1,"a":1"#),
        ("", r#","a":{"b":{"c":1,"c":2}}"#),
        ("", r#","a":[[{"b":1,"\u0062":2}]]"#),
        ("", r#","cnf":{"jkt":"x","jkt":"y"}"#),
        ("", r#","at_hash":"x","at_hash":"x""#),
        ("", r#","":1,"":2"#),
    ] {
        let payload = around(before, after);
        api.refuses(&payload, &saying(&payload)).await;
    }
    let key = key_of(ISSUER, "k1");
    for header in [
        r#"{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"ES256","alg":"none","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"ES256","\u0061lg":"HS256","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"ES256","typ":"JWT","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"evil","kid":"k1"}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"k1","x":{"y":1,"y":1}}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"k1","jwk":{"kty":"EC","kty":"oct"}}"#,
    ] {
        api.refuses(header, &signed(&key, header, claims().to_string())).await;
    }
}

#[tokio::test]
async fn what_is_no_json_object_alone() {
    let api = Api::new();
    let text = claims().to_string();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let spoiled = |from: &str, to: &[u8]| {
        let (before, after) = text.split_once(from).unwrap();
        [before.as_bytes(), to, after.as_bytes()].concat()
    };
    for (name, payload) in [
        ("two byte order marks", format!("\u{feff}\u{feff}{text}").into_bytes()),
        ("UTF-16", utf16),
        ("trailing garbage", format!("{text}x").into_bytes()),
        ("a trailing NUL", format!("{text}\0").into_bytes()),
        ("a trailing brace", format!("{text}}}").into_bytes()),
        ("two objects", format!("{text}{text}").into_bytes()),
        ("two objects in lines", format!("{text}\n{text}").into_bytes()),
        ("a list of it", format!("[{text}]").into_bytes()),
        ("a text of it", Value::from(text.clone()).to_string().into_bytes()),
        ("a comma more", around("", ",").into_bytes()),
        ("a comment", format!("/**/{text}").into_bytes()),
        ("a comment in it", around("/*x*/", "").into_bytes()),
        ("single quotes", text.replace('"', "'").into_bytes()),
        ("cut", text.as_bytes()[..text.len() - 1].to_vec()),
        ("nothing", Vec::new()),
        ("null", b"null".to_vec()),
        ("a number", b"1".to_vec()),
        ("a byte that is no UTF-8", spoiled("alice", b"ali\xffce")),
        ("an overlong form", spoiled("alice", b"ali\xc1\xa3e")),
        ("a surrogate in bytes", spoiled("alice", b"\xed\xa0\x80")),
        ("a bad byte in a name", around("", "").replace("jti", "j\u{fffd}ti").into_bytes()),
        ("a surrogate alone", spoiled("alice", br"\ud800")),
        ("surrogates in the wrong order", spoiled("alice", br"\udc00\ud800")),
        ("a surrogate in what nobody reads", around("", r#","x":"\udfff""#).into_bytes()),
        ("a surrogate in a name", around("", r#","\ud800":1"#).into_bytes()),
        ("an escape that is none", spoiled("alice", br"\x41")),
        ("a control character", spoiled("alice", b"ali\nce")),
        ("a NUL", spoiled("alice", b"alice\0")),
    ] {
        let token = saying(&payload);
        // A name that is misspelled is no claim: that is said once the signature is good.
        match name {
            "a bad byte in a name" => api.refuses_openly(name, &token).await,
            _ => api.refuses(name, &token).await,
        }
    }
    for (name, payload) in [
        ("a byte order mark", format!("\u{feff}{text}")),
        ("white space is of JSON", format!(" \t\r\n{text}\n ")),
        ("and so are escapes", text.replace("alice", r"\u0061lice").replace('/', r"\/")),
    ] {
        api.takes(name, &saying(payload)).await;
    }
    let key = key_of(ISSUER, "k1");
    let head = header("ES256", "k1").to_string();
    for (name, header) in [
        ("a byte order mark", format!("\u{feff}{head}")),
        ("trailing garbage", format!("{head}x")),
        ("two objects", format!("{head}{head}")),
        ("a list", format!("[{head}]")),
        ("a surrogate", head.replace("k1", r"\ud800")),
        ("nothing", String::new()),
    ] {
        api.refuses(name, &signed(&key, header, &text)).await;
    }
}

#[tokio::test]
async fn times_that_are_no_numbers_or_no_dates() {
    let api = Api::new();
    for (claim, values) in [
        (
            "exp",
            &["0", "-1", "-0.5", "1e300", "-1e300", "253402300800", "18446744073709551616"][..],
        ),
        ("nbf", &["-1", "1e300", "1767225631", "253402300800"]),
        ("iat", &["-1", "1e300", "1767225631", "253402300800"]),
    ] {
        for value in values {
            let payload = with(claims(), json!({claim: 0})).to_string();
            let payload = payload.replace(&format!("{claim:?}:0"), &format!("{claim:?}:{value}"));
            api.refuses(&format!("{claim} {value}"), &saying(payload)).await;
        }
    }
    for claim in ["exp", "nbf", "iat", "auth_time"] {
        for value in [
            "NaN",
            "Infinity",
            "-Infinity",
            "1e999",
            "-1e999",
            "0x7fffffff",
            "01767225900",
            "+1767225900",
            "1767225900.",
            ".5",
            "1_767_225_900",
        ] {
            let payload = with(claims(), json!({claim: 0})).to_string();
            let payload = payload.replace(&format!("{claim:?}:0"), &format!("{claim:?}:{value}"));
            api.refuses(&format!("{claim} {value}"), &saying(payload)).await;
        }
        for value in [
            json!("9999999999"),
            json!("NaN"),
            json!("now+300"),
            json!(true),
            json!([1_767_225_900]),
            json!({}),
            json!({"$serde_json::private::Number": "soon"}),
        ] {
            let (name, token) = (format!("{claim} {value}"), claiming(json!({claim: value})));
            match claim {
                "auth_time" => api.takes(&name, &token).await,
                _ => api.refuses(&name, &token).await,
            }
        }
        for value in [json!(null), json!(""), json!([])] {
            let (name, token) = (format!("{claim} {value}"), claiming(json!({claim: value})));
            match claim {
                "exp" => api.refuses(&name, &token).await,
                "iat" => api.refuses_openly(&name, &token).await,
                _ => api.takes(&name, &token).await,
            }
        }
    }
    let mut eternal = claims();
    eternal.as_object_mut().unwrap().remove("exp");
    api.refuses("no expiry", &token(&header("ES256", "k1"), &eternal)).await;
    api.takes("a fraction", &claiming(json!({"exp": 1_767_225_900.25_f64}))).await;
    api.takes("the end of the year 9999", &claiming(json!({"exp": 253_402_300_799_u64}))).await;
    api.refuses("over by the leeway", &claiming(json!({"exp": NOW - 30}))).await;
}

#[tokio::test]
async fn claims_of_another_type() {
    let api = Api::new();
    for claim in ["iss", "sub", "client_id", "jti", "scope", "typ", "token_use", "token_type"] {
        for value in [json!(1), json!(true), json!({}), json!({"a": "b"}), json!(["a", 1])] {
            let token = claiming(json!({claim: value}));
            api.refuses(&format!("{claim} {value}"), &token).await;
        }
    }
    for value in [json!(null), json!(""), json!([])] {
        let name = |claim: &str| format!("{claim} {value}");
        for claim in ["sub", "client_id", "jti"] {
            api.refuses_openly(&name(claim), &claiming(json!({claim: value}))).await;
        }
        for claim in ["scope", "acr", "azp", "typ", "token_use", "token_type", "at_hash"] {
            api.takes(&name(claim), &claiming(json!({claim: value}))).await;
        }
        api.refuses(&name("iss"), &claiming(json!({"iss": value}))).await;
    }
    for value in [json!(1), json!(true), json!({}), json!(["a", 1])] {
        for claim in ["acr", "azp"] {
            api.takes(&format!("{claim} {value}"), &claiming(json!({claim: value}))).await;
        }
    }
    for (name, scope) in [
        ("a list for a text", json!(["read"])),
        ("a character that is none of a scope", json!("read \"write\"")),
        ("a line break", json!("read\nwrite")),
    ] {
        api.refuses_openly(name, &claiming(json!({"scope": scope}))).await;
    }
}

#[tokio::test]
async fn a_token_in_a_token_and_one_that_is_packed() {
    let api = Api::new();
    let key = key_of(ISSUER, "k1");
    let nested = with(header("ES256", "k1"), json!({"cty": "JWT"})).to_string();
    let inner = good("k1");
    api.refuses("nested", &signed(&key, &nested, &inner)).await;
    api.refuses("nested as text", &signed(&key, &nested, Value::from(inner).to_string())).await;

    let packed = raw::payload(Some(&Change::Deflated), &claims()).unwrap();
    for more in [json!({}), json!({"zip": "DEF"})] {
        let header = with(header("ES256", "k1"), more).to_string();
        api.refuses("packed", &signed(&key, &header, &packed)).await;
    }
    // As RFC 7797 would have it: the payload as it is.
    let bare = with(header("ES256", "k1"), json!({"b64": false})).to_string();
    let input = format!("{}.{}", encoded(bare), "{}");
    api.turns_away("not encoded", &crate::api::sealed(&key, "", &input)).await;
}

#[tokio::test]
async fn a_token_that_is_too_long_or_too_deep() {
    let api = Api::new();
    for (name, payload) in
        [("17 KiB", claims_with_padding(17 * 1024)), ("a MiB", claims_with_padding(1024 * 1024))]
    {
        // Whoever sent it knows how long it is.
        api.refuses_openly(name, &saying(payload)).await;
    }
    for depth in [128, 1000, 10_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let depth = depth.min(11_000 / (open.len() + close.len()));
            let deep = |inner| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            let payload = around("", &format!(",\"x\":{}", deep("1")));
            api.refuses(&format!("{depth} {open}"), &saying(payload)).await;
            let payload = around("", &format!(",\"aud2\":{}", open.repeat(depth)));
            api.refuses(&format!("{depth} {open}, open"), &saying(payload)).await;
            let header = format!("{{\"alg\":\"ES256\",\"x\":{}}}", deep("1"));
            let token = signed(&key_of(ISSUER, "k1"), header, "{}");
            api.refuses(&format!("{depth} {open} in the header"), &token).await;
        }
    }
    let many: String = (0..1000).map(|name| format!(",\"{name}\":0")).collect();
    api.takes("many members", &saying(around("", &many))).await;
    api.refuses("one of many twice", &saying(around("", &(many + ",\"999\":0")))).await;
}

fn claims_with_padding(length: usize) -> String {
    around("", &format!(",\"x\":\"{}\"", "x".repeat(length)))
}

#[tokio::test]
async fn an_id_token_or_a_refresh_token_is_no_access_token() {
    let (strict, lenient) = (Api::new(), Api::trusting(TrustedIssuer::allow_other_profiles));
    let plain = json!({"alg": "ES256", "kid": "k1"});
    for typ in ["JWT", "jwt", "application/jwt"] {
        let header = with(plain.clone(), json!({"typ": typ}));
        strict.refuses(typ, &token(&header, &claims())).await;
        lenient.takes(typ, &token(&header, &claims())).await;
    }
    strict.refuses("no typ", &token(&plain, &claims())).await;
    lenient.takes("no typ", &token(&plain, &claims())).await;
    for typ in ["id+jwt", "rt+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "JWS", "JOSE", ""] {
        let header = with(plain.clone(), json!({"typ": typ}));
        strict.refuses(typ, &token(&header, &claims())).await;
        lenient.refuses(typ, &token(&header, &claims())).await;
    }
    for telling in [
        json!({"at_hash": "x"}),
        json!({"c_hash": "x"}),
        json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        json!({"events": []}),
        json!({"token_type": "Refresh"}),
        json!({"token_use": "logout"}),
        json!({"typ": "ID"}),
        json!({"typ": "Refresh"}),
        json!({"typ": "Offline"}),
        json!({"typ": "Logout"}),
        json!({"token_use": "id"}),
        json!({"token_use": "refresh"}),
    ] {
        let claims = with(claims(), telling.clone());
        for typ in [json!({}), json!({"typ": "JWT"}), json!({"typ": "at+jwt"})] {
            let header = with(plain.clone(), typ);
            lenient.refuses_openly(&telling.to_string(), &token(&header, &claims)).await;
        }
        let at_jwt = token(&header("ES256", "k1"), &claims);
        strict.refuses_openly(&telling.to_string(), &at_jwt).await;
    }
    // An ID token is for its client.
    let id_token = with(claims(), json!({"aud": "c1", "nonce": "n", "azp": "c1"}));
    lenient.refuses("for the client", &token(&plain, &id_token)).await;
    for missing in ["sub", "client_id", "iat", "jti"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(missing);
        strict.refuses_openly(missing, &token(&header("ES256", "k1"), &claims)).await;
    }
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_is_not_taken_alone() {
    let api = Api::new();
    let types = ["DPoP", "dpop", "PoP", "MAC"].map(|kind| json!({"token_type": kind}));
    let cnfs = [json!({"jkt": "x"}), json!({"x5t#S256": "x"}), json!({}), json!(""), json!(1)];
    let cnfs = cnfs.map(|cnf| json!({"cnf": cnf}));
    for bound in cnfs.into_iter().chain(types) {
        for (kid, algorithm) in KEYS {
            let claims = with(claims(), bound.clone()).to_string();
            let header = header(algorithm, kid).to_string();
            api.refuses_openly("bound", &signed(&key_of(ISSUER, kid), header, claims)).await;
        }
    }
    api.takes("bound to nothing", &claiming(json!({"cnf": null}))).await;
}

#[tokio::test]
async fn an_audience_that_is_not_this_one() {
    let api = Api::new();
    for aud in [
        json!(null),
        json!(1),
        json!(true),
        json!({}),
        json!({AUDIENCE: true}),
        json!({"0": AUDIENCE}),
        json!([[AUDIENCE]]),
        json!([AUDIENCE, 1]),
        json!([AUDIENCE, null]),
        json!([]),
        json!([""]),
        json!(""),
        json!("https://api.example/"),
        json!("https://API.example"),
        json!("https://api.example.evil.example"),
        json!("https://api.exampl"),
        json!("https://api.example https://other.example"),
        json!("https://api.example,https://other.example"),
        json!("*"),
        json!("https://*.example"),
        json!("https://\u{430}pi.example"),
        json!("https://api.example\u{0}"),
    ] {
        api.refuses(&format!("aud {aud}"), &claiming(json!({"aud": aud}))).await;
    }
    let mut nobody = claims();
    nobody.as_object_mut().unwrap().remove("aud");
    api.refuses("no aud", &token(&header("ES256", "k1"), &nobody)).await;
    api.takes("one of several", &claiming(json!({"aud": ["https://b.example", AUDIENCE]}))).await;
}
