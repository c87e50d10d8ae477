//! A user with a browser: cookies, redirects, and forms that are filled in.

use crate::system::{self, HttpClient, within_limit};
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use regex::Regex;
use std::{collections::BTreeMap, sync::LazyLock};

/// What alice knows, under the names of the servers' fields.
const ALICE: [(&str, &str); 3] = [("login", "alice"), ("username", "alice"), ("password", "alice")];

/// The redirect URI of every client. Nobody listens there: the browser stops.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:9999/callback";

/// More pages and redirects than any server has.
const STEPS: usize = 20;

/// Where alice, who logs in and agrees, is sent back to from `url`.
pub(crate) async fn alice_agrees(url: &Uri) -> Uri {
    Browser::new(true).browse(url).await
}

/// The same where she logs in and then does not agree.
pub(crate) async fn alice_cancels(url: &Uri) -> Uri {
    Browser::new(false).browse(url).await
}

/// Alice opens `url`, logs in, and approves the device with this code.
pub(crate) async fn alice_approves(url: &str, user_code: &str) {
    let mut browser = Browser::new(true);
    let (mut url, mut form) = (url.to_owned(), None);
    for _ in 0..STEPS {
        let response = browser.load(&url, form.take()).await;
        if let Some(to) = response.headers().get(header::LOCATION) {
            url = resolved(&url, to.to_str().unwrap());
            continue;
        }
        assert_eq!(response.status(), 200, "{}", response.body());
        let page = Page { url: &url, html: response.body() };
        if !FORM.is_match(page.html) {
            return;
        }
        let (to, filled) = page.answer(true);
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(filled.unwrap_or_default().as_bytes()).into_owned().collect();
        let mut again = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &pairs {
            let value = if name == "user_code" { user_code } else { value };
            again.append_pair(name, value);
        }
        if page.html.contains(r#"name="action""#) {
            again.append_pair("action", "accept");
        }
        form = Some(again.finish());
        url = if to.is_empty() { url } else { to };
    }
    panic!("the browser is sent round in circles: {url}");
}

struct Browser {
    http: HttpClient,
    cookies: BTreeMap<String, String>,
    agrees: bool,
}

impl Browser {
    fn new(agrees: bool) -> Self {
        Self { http: system::http(), cookies: BTreeMap::new(), agrees }
    }

    async fn browse(&mut self, url: &Uri) -> Uri {
        let (mut url, mut form) = (url.to_string(), None);
        for _ in 0..STEPS {
            let response = self.load(&url, form.take()).await;
            if let Some(to) = response.headers().get(header::LOCATION) {
                url = resolved(&url, to.to_str().unwrap());
            } else {
                assert_eq!(response.status(), 200, "{}", response.body());
                let page = Page { url: &url, html: response.body() };
                (url, form) = page.answer(self.agrees);
            }
            if url.starts_with(CALLBACK) {
                return url.parse().unwrap();
            }
        }
        panic!("the browser is sent round in circles: {url}");
    }

    /// Posts `form` where there is one.
    async fn load(&mut self, url: &str, form: Option<String>) -> Response<String> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, v)| format!("{name}={v}")).collect();
        let request = Request::builder().uri(url).header(header::COOKIE, cookies.join("; "));
        let request = match form {
            Some(form) => request
                .method("POST")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::from(form)),
            None => request.body(Full::default()),
        };
        let response = within_limit(self.http.request(request.unwrap())).await.unwrap();
        for line in response.headers().get_all(header::SET_COOKIE) {
            self.keep(line.to_str().unwrap());
        }
        let (head, body) = response.into_parts();
        let body = within_limit(body.collect()).await.unwrap().to_bytes();
        Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Takes a cookie, whatever its path.
    fn keep(&mut self, line: &str) {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        if value.is_empty() || value == "\"\"" {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn resolved(base: &str, to: &str) -> String {
    if to.starts_with('/') {
        let base: Uri = base.parse().unwrap();
        return format!("http://{}{to}", base.authority().unwrap());
    }
    to.to_owned()
}

static FORM: LazyLock<Regex> = LazyLock::new(|| Regex::new("(?s)<form[^>]*>.*?</form>").unwrap());
static INPUT: LazyLock<Regex> = LazyLock::new(|| Regex::new("<input[^>]*>").unwrap());
static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"([a-z-]+)="([^"]*)""#).unwrap());
static ABORT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"href="([^"]*/abort)""#).unwrap());

struct Page<'a> {
    url: &'a str,
    html: &'a str,
}

impl Page<'_> {
    /// Where the user goes from here, and with which form.
    fn answer(&self, agrees: bool) -> (String, Option<String>) {
        let form = FORM.find(self.html).unwrap_or_else(|| panic!("no form: {}", self.html));
        let form = form.as_str();
        let asks_for_password = form.contains(r#"type="password""#);
        let abort = ABORT.captures(self.html).filter(|_| !agrees && !asks_for_password);
        if let Some(abort) = abort {
            return (resolved(self.url, &abort[1]), None);
        }
        let mut filled = form_urlencoded::Serializer::new(String::new());
        for input in INPUT.find_iter(form) {
            let input = attributes(input.as_str());
            let Some(name) = input.get("name") else { continue };
            let known = ALICE.iter().find(|(field, _)| field == name).map(|(_, value)| *value);
            let value = known.or(input.get("value").map(String::as_str)).unwrap_or_default();
            if agrees || input.get("type").is_none_or(|kind| kind != "submit") {
                filled.append_pair(name, value);
            }
        }
        let action = attributes(&form[..=form.find('>').unwrap()]).remove("action");
        let action = action.map_or(self.url.to_owned(), |to| resolved(self.url, &to));
        (action, Some(filled.finish()))
    }
}

fn attributes(tag: &str) -> BTreeMap<String, String> {
    let pairs = ATTRIBUTE.captures_iter(tag);
    pairs.map(|pair| (pair[1].to_owned(), pair[2].replace("&amp;", "&"))).collect()
}
