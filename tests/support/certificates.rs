//! Certificates that a client and a server show each other.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use std::sync::Arc;

/// What one end shows the other.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// The certificate and the key.
    pub(crate) pem: [String; 2],
}

/// Who signs certificates.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &str, addresses: &[&str]) -> CertificateParams {
    let addresses: Vec<String> = addresses.iter().map(|address| (*address).into()).collect();
    let mut params = CertificateParams::new(addresses).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let signed = params.self_signed(&key).unwrap();
        let (certificate, pem) = (signed.der().clone(), signed.pem());
        Self { certificate, pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, addresses: &[&str], usage: ExtendedKeyUsagePurpose) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name, addresses);
        params.extended_key_usages = vec![usage];
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let pem = [signed.pem(), key.serialize_pem()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Identity { certificate: signed.der().clone(), key, pem }
    }

    pub(crate) fn client(&self, name: &str) -> Identity {
        self.issue(name, &[], ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub(crate) fn server(&self, address: &str) -> Identity {
        self.issue("the server", &[address], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// The settings of a server that lets in whoever shows a certificate of this authority, and
    /// whoever shows none only if `is_optional`.
    pub(crate) fn server_config(&self, is_optional: bool) -> ServerConfig {
        self.server_config_at("127.0.0.1", is_optional)
    }

    /// The same of a server at `address`.
    pub(crate) fn server_config_at(&self, address: &str, is_optional: bool) -> ServerConfig {
        let mut verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider());
        if is_optional {
            verifier = verifier.allow_unauthenticated();
        }
        let own = self.server(address);
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![own.certificate], own.key)
            .unwrap()
    }

    /// The settings of a client that trusts this authority, and shows `identity`.
    pub(crate) fn client_config(&self, identity: Option<Identity>) -> ClientConfig {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        match identity {
            Some(own) => config.with_client_auth_cert(vec![own.certificate], own.key).unwrap(),
            None => config.with_no_client_auth(),
        }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
