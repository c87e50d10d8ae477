//! Issues codes for devices ([RFC 8628 §3.2]), and says what became of them.
//!
//! [RFC 8628 §3.2]: https://www.rfc-editor.org/rfc/rfc8628#section-3.2

use super::client_auth;
use crate::{
    ScopeSet,
    testing::authorization_server::{
        answer::{Answered, Members, Refusal},
        state::{Approval, Device, Quirk, State},
    },
};
use bytes::Bytes;
use http::Request;
use std::time::Duration;

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

const LIFETIME: Duration = Duration::from_secs(600);
const INTERVAL: Duration = Duration::from_secs(5);

pub(super) fn answer(state: &mut State, request: &Request<Bytes>) -> Answered {
    let (form, client) = client_auth::identify(state, request)?;
    let device = Device {
        client_id: client.id().into(),
        user_code: state.user_code()?,
        scopes: form.scopes()?,
        expires_at: state.now() + LIFETIME,
        next_poll: state.now() + INTERVAL,
        interval: INTERVAL,
        approval: Approval::Pending,
    };
    let code = state.unguessable()?;
    let base = state.settings.issuer.as_deref().unwrap_or("https://as.example");
    let uri = format!("{}/device", base.trim_end_matches('/'));
    let mut members = Members::default();
    members.set_text("device_code", &code);
    members.set_text("user_code", &device.user_code);
    members.set_text("verification_uri", &uri);
    let complete = format!("{uri}?user_code={}", device.user_code);
    members.set_text("verification_uri_complete", &complete);
    members.set("expires_in", LIFETIME.as_secs().to_string());
    if !state.settings.has(Quirk::NoInterval) {
        members.set("interval", INTERVAL.as_secs().to_string());
    }
    state.devices.insert(code, device);
    Ok(members.into_response())
}

/// Returns the user who approved, and the scopes that the device asked for. The code is then used up.
pub(super) fn approved(
    state: &mut State,
    code: &str,
    client_id: &str,
) -> Result<(String, ScopeSet), Refusal> {
    let now = state.now();
    let unknown = || Refusal::invalid_grant("the device code is not known");
    let device = state.devices.get_mut(code).filter(|device| *device.client_id == *client_id);
    let device = device.ok_or_else(unknown)?;
    if now >= device.expires_at {
        return Err(Refusal::new("expired_token", "the device code has expired"));
    }
    if now < device.next_poll {
        device.interval += INTERVAL;
        device.next_poll = now + device.interval;
        return Err(Refusal::new("slow_down", "the device polls too often"));
    }
    device.next_poll = now + device.interval;
    match device.approval {
        Approval::Pending => Err(Refusal::new("authorization_pending", "the user is not done")),
        Approval::Denied => Err(Refusal::new("access_denied", "the user denies")),
        Approval::By(_) => match state.devices.remove(code) {
            Some(Device { approval: Approval::By(user), scopes, .. }) => Ok((user, scopes)),
            _ => Err(unknown()),
        },
    }
}
