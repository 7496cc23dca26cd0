//! Tokens for services behind Google's Identity-Aware Proxy (IAP)
//! (<https://cloud.google.com/iap/docs/authentication-howto>, RFC 7523).
//!
//! A service account signs a request ([`assertion`]) and gets an identity token for it, which the proxy accepts. Only
//! the operator's setting decides where the request is sent: the addresses in the account's JSON (`token_uri`,
//! `token_credential_uri`) are not read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;

use crate::adapters::operator::GoogleConfig;
use crate::call::{Egress, Failure, HttpRequest, HttpResponse, unavailable};
use crate::settings::Secret;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Google accepts an hour at most.
const SECONDS: i64 = 3600;

/// A service account's key, as Google's JSON has it. Its other fields are not used.
#[derive(Deserialize)]
pub(super) struct ServiceAccount {
    client_email: String,
    private_key: Secret,
    private_key_id: Option<String>,
}

impl ServiceAccount {
    /// # Errors
    /// What is wrong with the JSON, without its content.
    pub(super) fn read(json: &Secret) -> Result<Self, &'static str> {
        serde_json::from_str(json.expose())
            .map_err(|_| "is not a service account's JSON with `client_email` and `private_key`")
    }

    /// # Errors
    /// It is not a key that Google makes.
    fn key(&self) -> Result<RsaKeyPair, &'static str> {
        self.rsa_key().ok_or("holds a `private_key` that is not an RSA key of at least 2048 bits in PEM")
    }

    fn rsa_key(&self) -> Option<RsaKeyPair> {
        match PrivateKeyDer::from_pem_slice(self.private_key.expose().as_bytes()).ok()? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            _ => None,
        }
    }
}

/// The request for an identity token that the proxy of this client accepts.
///
/// # Errors
/// The account's JSON or the operator's address can't be used.
pub(super) fn token_request(
    account: &Secret,
    client: &str,
    google: &GoogleConfig,
    now: Timestamp,
) -> Result<HttpRequest, Failure> {
    let url = google.token_url.parse().map_err(|_| {
        let problem = "google.token_url in the daemon's configuration is not an address: set it to Google's token endpoint";
        Failure::OperatorError(problem.to_owned())
    })?;
    let assertion = ServiceAccount::read(account)
        .and_then(|account| assertion(&account, client, &google.token_url, now))
        .map_err(|problem| Failure::Misconfigured(format!("google_iap_service_account_json {problem}")))?;
    let request = HttpRequest::post_form(url, [("grant_type", GRANT), ("assertion", &assertion)]);
    Ok(HttpRequest { egress: Egress::Operator, ..request.with_secret_fields(&["assertion"]) })
}

/// The signed request (a JWT with RS256).
fn assertion(
    account: &ServiceAccount,
    client: &str,
    token_url: &str,
    now: Timestamp,
) -> Result<String, &'static str> {
    let issued = now.as_second();
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": account.private_key_id });
    let claims = json!({
        "iss": account.client_email,
        "sub": account.client_email,
        "aud": token_url,
        "target_audience": client,
        "iat": issued,
        "exp": issued + SECONDS,
    });
    let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let key = account.key()?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "holds a `private_key` that can't sign")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The identity token in the endpoint's answer.
///
/// # Errors
/// There is none: Google refuses the account, or something else answered.
pub(super) fn token(response: &HttpResponse) -> Result<Secret, Failure> {
    /// RFC 6749, sections 5.1 and 5.2.
    #[derive(Deserialize)]
    struct Body {
        id_token: Option<Secret>,
        error: Option<String>,
        #[serde(default)]
        error_description: String,
    }
    let body: Option<Body> = serde_json::from_slice(&response.body).ok();
    match (response.status, body) {
        (200, Some(Body { id_token: Some(token), .. })) if !token.is_blank() => Ok(token),
        (400 | 401, Some(Body { error: Some(error), error_description, .. })) => {
            let description =
                if error_description.is_empty() { "no description" } else { &error_description };
            Err(Failure::Misconfigured(format!(
                "Google gives no token for this service account: {error} ({description}); check \
                 google_iap_service_account_json and google_iap_audience_client_id"
            )))
        }
        _ => {
            Err(unavailable(response, false).map_why(|why| format!("no token from google.token_url: {why}")))
        }
    }
}
