//! Which servers an encrypted connection believes.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::trouble::{Trouble, printable};
use super::wire::Raw;
use crate::scenario::Trust;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Believed {
    Web,
    Authority(PathBuf),
    Anyone,
}

/// Client configurations, made once each.
#[derive(Debug, Default)]
pub struct Trusted {
    made: Mutex<HashMap<Believed, Arc<ClientConfig>>>,
}

impl Trusted {
    /// Encrypts a connection to a host that is believed.
    pub async fn encrypt(&self, host: &str, trust: &Trust, raw: Raw) -> Result<TlsStream<Raw>, Trouble> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| Trouble::hopeless(format!("{host} cannot be named in TLS: {error}")))?;
        let config = self.config(trust)?;
        TlsConnector::from(config).connect(name, raw).await.map_err(|error| failed(host, &error))
    }

    fn config(&self, trust: &Trust) -> Result<Arc<ClientConfig>, Trouble> {
        let believed = match trust {
            Trust::WebRoots => Believed::Web,
            Trust::Authority(path) => Believed::Authority(path.clone()),
            Trust::Anyone => Believed::Anyone,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = made.get(&believed) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(make(&believed)?);
        made.insert(believed, Arc::clone(&config));
        Ok(config)
    }
}

fn failed(host: &str, error: &io::Error) -> Trouble {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => Trouble::unexpected(
            "certificate refused",
            format!(
                "{host}: {why}; for a self-signed one say trust = {{ authority = \"ca.pem\" }}, or trust = \"anyone\" on this machine"
            ),
        ),
        Some(other) => Trouble::unexpected("TLS refused", printable(format!("{host}: {other}").as_bytes())),
        None => Trouble::io("TLS handshake", error),
    }
}

fn make(believed: &Believed) -> Result<ClientConfig, Trouble> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::hopeless(format!("TLS cannot be set up: {error}")))?;
    let builder = match believed {
        Believed::Web => {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            builder.with_root_certificates(roots)
        }
        Believed::Authority(path) => builder.with_root_certificates(authority(path)?),
        Believed::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyoneOnThisMachine(provider)))
        }
    };
    Ok(builder.with_no_client_auth())
}

fn authority(path: &Path) -> Result<RootCertStore, Trouble> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Trouble::hopeless(format!("reading the certificates in {}: {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        roots.add(certificate.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(&"there is no certificate in it"));
    }
    Ok(roots)
}

/// Believes every certificate. Used for addresses of this machine alone.
#[derive(Debug)]
struct AnyoneOnThisMachine(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyoneOnThisMachine {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
