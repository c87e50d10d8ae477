//! Issuers of many tenants, whose identifiers differ in the tenant alone.

use super::rules::{mismatch, refused};
use crate::{
    ConfigError,
    back_channel::json,
    jose::TENANT,
    validate::{Rejection, claims::shown},
};
use serde_json::Value;

/// The identifier of an issuer with a place for the tenant.
#[derive(Clone, Debug)]
pub(super) struct Template {
    before: Box<str>,
    after: Box<str>,
    tenants: Option<Vec<Box<str>>>,
}

impl Template {
    pub(super) fn new(text: &str) -> Result<Self, ConfigError> {
        let parts = text.split_once(TENANT).filter(|(_, after)| !after.contains(TENANT));
        let (before, after) = parts.ok_or_else(|| {
            ConfigError::new(format!("the template {text:?} has {TENANT} not exactly once"))
        })?;
        Ok(Self { before: before.into(), after: after.into(), tenants: None })
    }

    pub(super) fn set_tenants(&mut self, tenants: Vec<Box<str>>) -> Result<(), ConfigError> {
        if let Some(other) = tenants.iter().find(|tenant| !is_guid(tenant)) {
            let text = format!("the tenant {other:?} is not a GUID with lower-case digits");
            return Err(ConfigError::new(text));
        }
        self.tenants = Some(tenants);
        Ok(())
    }

    /// Returns the tenant that `iss` is of, if it fits the template and the tenant is allowed.
    pub(super) fn tenant<'i>(&self, iss: &'i str) -> Option<&'i str> {
        let tenant = iss.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        let is_allowed = |all: &Vec<Box<str>>| all.iter().any(|one| **one == *tenant);
        (is_guid(tenant) && self.tenants.as_ref().is_none_or(is_allowed)).then_some(tenant)
    }

    /// Checks that the tenant of `iss` is that of the payload (`tid`).
    pub(super) fn check(&self, iss: &str, payload: &[u8]) -> Result<(), Rejection> {
        let object: Value = serde_json::from_slice(json::without_bom(payload))
            .map_err(|_| refused("the payload is not a JSON object"))?;
        let (tenant, tid) = (self.tenant(iss), object.get("tid").and_then(Value::as_str));
        match tid.is_some() && tid == tenant {
            true => Ok(()),
            false => {
                Err(mismatch("tid", format!("the tenant of iss, {}", shown(tenant)), shown(tid)))
            }
        }
    }
}

/// Returns `true` for a GUID as [RFC 9562 §4](https://www.rfc-editor.org/rfc/rfc9562#section-4) has it
/// written: lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TID: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

    #[test]
    fn an_issuer_fits_a_template_by_its_tenant_alone() {
        let mut template = Template::new("https://as.example/{tenantid}/v2.0").unwrap();
        let iss = |tenant: &str| format!("https://as.example/{tenant}/v2.0");
        assert_eq!(template.tenant(&iss(TID)), Some(TID));
        for other in [
            iss("{tenantid}"),
            iss(""),
            iss("common"),
            iss(&TID.to_uppercase()),
            iss(&TID.replace('-', "")),
            iss(&format!("{TID}/{TID}")),
            iss(&TID.replace('d', "\u{e4}")),
            format!("{}/", iss(TID)),
            iss(TID).replace("https", "http"),
            TID.to_owned(),
            String::new(),
        ] {
            assert_eq!(template.tenant(&other), None, "{other}");
        }
        template.set_tenants(vec!["00000000-0000-0000-0000-000000000000".into()]).unwrap();
        assert_eq!(template.tenant(&iss(TID)), None);
        assert!(template.set_tenants(vec!["contoso.example".into()]).is_err());
    }

    #[test]
    fn a_template_has_one_place_for_a_tenant() {
        for wrong in ["https://as.example/common/v2.0", "{tenantid}/{tenantid}", "{tenant}", ""] {
            assert!(Template::new(wrong).is_err(), "{wrong}");
        }
    }
}
