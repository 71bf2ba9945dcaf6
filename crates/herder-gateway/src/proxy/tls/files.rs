//! A certificate and its key, read from files that somebody else has opened.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use herder_wire::proxy::MAX_FILE;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::pem::{Section, sections};
use super::{Fault, OpenFiles, TlsError, Warning};
use crate::proxy::settings::Certificate;

/// Reads a certificate and its key.
pub(super) fn load(
    files: &Certificate,
    open: &OpenFiles,
    provider: &CryptoProvider,
    warnings: &mut Vec<Warning>,
) -> Result<CertifiedKey, TlsError> {
    let unopened = |path: &Path, why: &String| fault(path, None, format!("cannot be read: {why}"));
    let (chain, (key, line)) = match open {
        OpenFiles::Both {
            certificate,
            key: file,
        } => (
            chain(&files.certificate, certificate)?,
            key(&files.key, file, warnings)?,
        ),
        OpenFiles::NoCertificate(why) => return Err(unopened(&files.certificate, why)),
        OpenFiles::NoKey(why) => return Err(unopened(&files.key, why)),
    };
    let fault = |error: rustls::Error| {
        let (file, line, what) = if let rustls::Error::InconsistentKeys(_) = error {
            let certificate = files.certificate.display();
            let what = format!("this is not the key of {certificate}; the two belong together");
            (&files.key, Some(line), what)
        } else if let rustls::Error::InvalidCertificate(why) = error {
            let what = format!("the first certificate cannot be used: {why:?}");
            (&files.certificate, None, what)
        } else {
            let what = "a key of this kind cannot be used; RSA from 2048 bits, ECDSA (P-256, P-384) \
                        and Ed25519 can";
            (&files.key, Some(line), what.to_owned())
        };
        TlsError::File(Fault {
            file: file.clone(),
            line,
            what,
        })
    };
    CertifiedKey::from_der(chain, key, provider).map_err(fault)
}

fn chain(path: &Path, file: &File) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (text, _) = read(path, file)?;
    let found = found(path, &text)?;
    let certificates = found.iter().filter(|it| it.label == "CERTIFICATE");
    let chain: Vec<_> = certificates
        .map(|section| {
            CertificateDer::from_pem_slice(section.text.as_bytes())
                .map_err(|_| damaged(path, section))
        })
        .collect::<Result<_, _>>()?;
    if chain.is_empty() {
        let what = match found.first() {
            Some(other) => format!(
                "there is no certificate in it, but a {}; are the certificate and the key exchanged?",
                other.label
            ),
            None => {
                "there is no `-----BEGIN CERTIFICATE-----` in it; it must be a PEM file".to_owned()
            }
        };
        return Err(fault(path, found.first().map(|it| it.line), what));
    }
    Ok(chain)
}

/// The key, and the line at which it stands.
fn key(
    path: &Path,
    file: &File,
    warnings: &mut Vec<Warning>,
) -> Result<(PrivateKeyDer<'static>, usize), TlsError> {
    let (text, mode) = read(path, file)?;
    let found = found(path, &text)?;
    let Some(section) = found.iter().find(|it| it.label.ends_with("PRIVATE KEY")) else {
        let what = match found.first() {
            Some(other) => format!(
                "there is no private key in it, but a {}; are the certificate and the key exchanged?",
                other.label
            ),
            None => {
                "there is no `-----BEGIN PRIVATE KEY-----` in it; it must be a PEM file".to_owned()
            }
        };
        return Err(fault(path, found.first().map(|it| it.line), what));
    };
    if section.label.starts_with("ENCRYPTED") || section.body.contains("ENCRYPTED") {
        let what = format!(
            "this key is encrypted, and nobody is there to ask for the password; \
             decrypt it with `openssl pkey -in {} -out KEY`",
            path.display()
        );
        return Err(fault(path, Some(section.line), what));
    }
    let key = PrivateKeyDer::from_pem_slice(section.text.as_bytes())
        .map_err(|_| damaged(path, section))?;
    if mode & OTHERS_MAY_READ != 0 {
        warnings.push(Warning(format!(
            "{}: everybody on this machine can read this private key (mode {:04o}); `chmod 600` it",
            path.display(),
            mode & 0o7777
        )));
    }
    Ok((key, section.line))
}

/// The text of a file, and its mode.
fn read(path: &Path, file: &File) -> Result<(String, u32), TlsError> {
    let unreadable = |error: io::Error| fault(path, None, format!("cannot be read: {error}"));
    let mode = file.metadata().map_err(unreadable)?.mode();
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 16 * 1024];
        // From its beginning, whoever has read by a duplicate of it.
        let at = file.read_at(&mut piece, bytes.len() as u64);
        let count = at.map_err(unreadable)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..count]);
        if bytes.len() as u64 > MAX_FILE {
            let what = format!("it is larger than {MAX_FILE} bytes, which no certificate is");
            return Err(fault(path, None, what));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        let what = "it is not text; it must be a PEM file. `openssl x509 -inform der` makes one of a \
                    certificate, `openssl pkey -inform der` of a key";
        fault(path, None, what.to_owned())
    })?;
    Ok((text, mode))
}

fn found<'a>(path: &Path, text: &'a str) -> Result<Vec<Section<'a>>, TlsError> {
    sections(text).map_err(|bad| fault(path, Some(bad.line), bad.what))
}

fn damaged(path: &Path, section: &Section<'_>) -> TlsError {
    let what = format!("this {} is damaged: it is no base64", section.label);
    fault(path, Some(section.line), what)
}

fn fault(path: &Path, line: Option<usize>, what: String) -> TlsError {
    TlsError::File(Fault {
        file: path.to_owned(),
        line,
        what,
    })
}

/// Bits of a mode.
const OTHERS_MAY_READ: u32 = 0o004;
