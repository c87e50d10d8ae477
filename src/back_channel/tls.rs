//! TLS of the default HTTPS client: whom it trusts, and the certificate that it shows.

use super::secret_source::read;
use crate::{ConfigError, observe};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{PemObject, SectionKind},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

/// The longest text of root certificates, in bytes: several times what operating systems ship.
const MAX_ROOTS: usize = 1024 * 1024;

/// Reads the certificates of `pem`.
///
/// # Errors
///
/// If a block is no certificate, or there is none.
pub(super) fn read_roots(pem: &[u8]) -> Result<RootCertStore, ConfigError> {
    let wrong =
        |why: String| ConfigError::new(format!("the root certificates are unusable: {why}"));
    if pem.len() > MAX_ROOTS {
        return Err(wrong("they are longer than 1 MiB".into()));
    }
    let mut roots = RootCertStore::empty();
    for (number, block) in (1..).zip(<(SectionKind, Vec<u8>)>::pem_slice_iter(pem)) {
        let why = match block {
            Ok((SectionKind::Certificate, der)) => match roots.add(der.into()) {
                Ok(()) => continue,
                Err(_) => "no X.509 certificate".to_owned(),
            },
            Ok((kind, _)) => format!("a {kind:?}, not a Certificate"),
            Err(_) => "no valid PEM".to_owned(),
        };
        return Err(wrong(format!("block {number} is {why}")));
    }
    match roots.is_empty() {
        true => Err(wrong("there is no PEM block `BEGIN CERTIFICATE`".into())),
        false => Ok(roots),
    }
}

/// Returns the configuration of a client that trusts `roots`, or those of the operating system.
///
/// # Errors
///
/// If the machine has no certificate authorities.
pub(super) fn client_config(
    roots: Option<&Arc<RootCertStore>>,
    own: Option<&Arc<CertifiedKey>>,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = match roots {
        Some(roots) => tls.map(|tls| tls.with_root_certificates(roots.clone())),
        None => tls.and_then(BuilderVerifierExt::with_platform_verifier),
    };
    let tls = tls.map_err(|error| {
        format!(
            "TLS cannot be set up: install the system's certificate authorities (on Debian and \
             Alpine the package ca-certificates), or use another transport: {error}"
        )
    })?;
    Ok(match own {
        Some(own) => tls
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::clone(own)))),
        None => tls.with_no_client_auth(),
    })
}

/// The files of a client certificate and its key, and the pair that was read last.
pub(super) struct ClientCertificate {
    paths: [PathBuf; 2],
    /// What the files were when they were looked at last.
    seen: Option<Stamps>,
    pair: Option<Arc<CertifiedKey>>,
}

/// When each file was changed, and its length; `None` if it cannot be had.
type Stamps = [Option<(SystemTime, u64)>; 2];

impl ClientCertificate {
    pub(super) fn new(paths: [PathBuf; 2]) -> Self {
        Self { paths, seen: None, pair: None }
    }

    pub(super) fn pair(&self) -> Option<&Arc<CertifiedKey>> {
        self.pair.as_ref()
    }

    /// Reads the files if they have changed. Returns `true` if there is another pair. What cannot be
    /// used, such as a certificate whose key is not written yet, leaves the pair as it is.
    ///
    /// # Errors
    ///
    /// If there is no pair yet.
    pub(super) fn refresh(&mut self) -> Result<bool, String> {
        let found = self.paths.each_ref().map(|path| {
            let file = path.metadata().ok()?;
            Some((file.modified().ok()?, file.len()))
        });
        if self.pair.is_some() && self.seen == Some(found) {
            return Ok(false);
        }
        // A change of rights alone does not show in the stamps. A pipe would block.
        let is_readable = self.paths.iter().all(|path| path.is_file() && File::open(path).is_ok());
        let read = self.read();
        if let (Err(why), Some(_)) = (&read, &self.pair) {
            observe::client_certificate_kept(why);
            self.seen = is_readable.then_some(found);
            return Ok(false);
        }
        (self.pair, self.seen) = (Some(Arc::new(read?)), Some(found));
        Ok(true)
    }

    fn read(&self) -> Result<CertifiedKey, String> {
        let [certificate, key] = &self.paths;
        let text = |path: &Path| read(path).map_err(|why| format!("{}: {why}", path.display()));
        let chain = CertificateDer::pem_slice_iter(text(certificate)?.expose().as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| format!("{} is no valid PEM", certificate.display()))?;
        let key_der = PrivateKeyDer::from_pem_slice(text(key)?.expose().as_bytes())
            .map_err(|_| format!("{} has no unencrypted private key in PEM", key.display()))?;
        CertifiedKey::from_der(chain, key_der, &aws_lc_rs::default_provider()).map_err(|why| {
            let [certificate, key] = [certificate.display(), key.display()];
            format!("{certificate} and {key} are no pair: {why}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_no_certificate_is_named_by_its_number() {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let good = certified.cert.pem();
        let key = certified.signing_key.serialize_pem();
        assert_eq!(read_roots(good.repeat(2).as_bytes()).unwrap().len(), 2);
        let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let torn = "-----BEGIN CERTIFICATE-----\nMII";
        let long = "x".repeat(MAX_ROOTS + 1);
        for (pem, why) in [
            (format!("{good}{key}"), "block 2 is a PrivateKey, not a Certificate"),
            (format!("{good}{good}{odd}"), "block 3 is no X.509 certificate"),
            (format!("{good}{torn}"), "block 2 is no valid PEM"),
            (String::new(), "there is no PEM block `BEGIN CERTIFICATE`"),
            (long, "they are longer than 1 MiB"),
        ] {
            let error = read_roots(pem.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("the root certificates are unusable: {why}"));
        }
    }
}
