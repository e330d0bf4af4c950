//! Tokens that an issuer of OpenID Connect signed (RFC 7519, RFC 9068), for operators whose callers
//! already have an identity. The issuer's keys are found as OpenID Connect Discovery has it, kept for
//! a while, and looked for again when a token names one that is not known.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exeat_directory::tokens::{Bearer, Credential, Scope};
use exeat_directory::{Directory, DirectoryError};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::time::Instant;

/// How long keys are taken to be the issuer's.
const FRESH: Duration = Duration::from_secs(600);

/// How often keys are looked for at most, whatever tokens claim.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long an answer of the issuer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How large an answer of the issuer may be.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Longest subject: it stands in the audit trail.
const MAX_SUBJECT_BYTES: usize = 256;

/// Signatures that only the issuer can make. Those of a shared secret are not among them.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::EdDSA,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
];

/// Whose tokens are believed, and what they say where.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// The issuer, as its tokens name it (`iss`), under which its configuration is to be found.
    pub issuer: String,
    /// For whom tokens must be meant (`aud`).
    pub audience: String,
    /// The claim that holds the tenant's name.
    pub tenant_claim: String,
    /// The claim that holds the scopes: a text with spaces, or a list.
    pub scope_claim: String,
}

/// The issuer cannot be used.
#[derive(Debug, Error)]
pub enum OidcError {
    /// What it is called is no address.
    #[error("the issuer is not an https URL")]
    Issuer,
    /// There is no way to reach it.
    #[error("the issuer cannot be asked")]
    Client(#[from] reqwest::Error),
    /// Its answer is not what it should be.
    #[error("the issuer's answer is not what it should be: {0}")]
    Answer(&'static str),
}

/// An issuer whose tokens are believed.
#[derive(Clone, Debug)]
pub(crate) struct Oidc {
    settings: Arc<OidcSettings>,
    client: Client,
    keys: Arc<Mutex<Keys>>,
    /// Held by whoever looks for keys.
    looking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Keys {
    keys: HashMap<String, Jwk>,
    found: Option<Instant>,
    looked: Option<Instant>,
}

impl Keys {
    fn may_be_looked_for(&self) -> bool {
        self.looked.is_none_or(|at| at.elapsed() > LOOK_AGAIN)
    }
}

/// Shows no keys: there may be many.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.keys.len())
    }
}

/// What is read of the issuer's configuration.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

/// What is read of a token.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

impl Oidc {
    pub(crate) fn new(settings: OidcSettings) -> Result<Self, OidcError> {
        let issuer = Url::parse(&settings.issuer).map_err(|_| OidcError::Issuer)?;
        let local = matches!(issuer.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if issuer.scheme() != "https" && !(local && issuer.scheme() == "http") {
            return Err(OidcError::Issuer);
        }
        let client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT);
        Ok(Self {
            settings: Arc::new(settings),
            client: client.build()?,
            keys: Arc::default(),
            looking: Arc::default(),
        })
    }

    /// Who holds this token; nobody if it is not one of the issuer's, for us, and good now.
    pub(crate) async fn authenticate(
        &self,
        token: &str,
        directory: &Directory,
    ) -> Result<Option<Bearer>, DirectoryError> {
        let Some(claims) = self.claims(token).await else {
            return Ok(None);
        };
        let Some(tenant) = claims
            .others
            .get(&self.settings.tenant_claim)
            .and_then(Value::as_str)
        else {
            return Ok(None);
        };
        let tenant = match directory.tenant(tenant).await {
            Ok(tenant) => tenant,
            Err(DirectoryError::UnknownTenant(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let scopes = claims.others.get(&self.settings.scope_claim);
        Ok(Some(Bearer {
            tenant,
            scopes: scopes.map(scopes_of).unwrap_or_default(),
            credential: Credential::Signed {
                subject: claims.sub,
                expires: claims.exp,
            },
        }))
    }

    async fn claims(&self, token: &str) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        let key = self.key(header.kid.as_deref()?).await?;
        let stated = key.common.key_algorithm;
        let allowed = ALGORITHMS.contains(&header.alg)
            && stated.is_none_or(|stated| stated.to_string() == format!("{:?}", header.alg))
            && key.common.public_key_use != Some(PublicKeyUse::Encryption);
        if !allowed {
            return None;
        }
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        let key = DecodingKey::from_jwk(&key).ok()?;
        let claims = decode::<Claims>(token, &key, &validation).ok()?.claims;
        (1..=MAX_SUBJECT_BYTES)
            .contains(&claims.sub.len())
            .then_some(claims)
    }

    /// The issuer's key of this name. One that is not known may be new, and keys that are old may be
    /// the issuer's no more: both are looked for again, by a task of its own, so that nobody who
    /// hangs up ends it for all.
    async fn key(&self, name: &str) -> Option<Jwk> {
        let (known, stale) = {
            let keys = self.keys();
            let known = keys.keys.get(name).cloned();
            if !keys.may_be_looked_for() {
                return known;
            }
            (known, keys.found.is_none_or(|at| at.elapsed() > FRESH))
        };
        match known {
            Some(known) => {
                if stale {
                    // It goes on until another one is found.
                    tokio::spawn(self.clone().look());
                }
                Some(known)
            }
            None => {
                tokio::spawn(self.clone().look()).await.ok()?;
                self.keys().keys.get(name).cloned()
            }
        }
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for the issuer's keys, unless somebody just did.
    async fn look(self) {
        let _one_at_a_time = self.looking.lock().await;
        if !self.keys().may_be_looked_for() {
            return;
        }
        let found = self.find_keys().await;
        let mut keys = self.keys();
        keys.looked = Some(Instant::now());
        match found {
            Ok(found) => {
                keys.keys = found;
                keys.found = Some(Instant::now());
            }
            // The keys that are known go on until it answers again.
            Err(error) => tracing::warn!(%error, "the issuer's keys cannot be found"),
        }
    }

    async fn find_keys(&self) -> Result<HashMap<String, Jwk>, OidcError> {
        let issuer = self.settings.issuer.trim_end_matches('/');
        let configuration = self
            .fetch(&format!("{issuer}/.well-known/openid-configuration"))
            .await?;
        let configuration: Configuration =
            serde_json::from_slice(&configuration).map_err(|_| OidcError::Answer("its configuration"))?;
        if configuration.issuer != self.settings.issuer {
            return Err(OidcError::Answer("its configuration is another issuer's"));
        }
        let keys = self.fetch(&configuration.jwks_uri).await?;
        let keys: JwkSet = serde_json::from_slice(&keys).map_err(|_| OidcError::Answer("its keys"))?;
        let named = keys.keys.into_iter().filter_map(|key| {
            let name = key.common.key_id.clone()?;
            Some((name, key))
        });
        Ok(named.collect())
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, OidcError> {
        let mut answer = self.client.get(url).send().await?.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER_BYTES {
                return Err(OidcError::Answer("it is too large"));
            }
        }
        Ok(bytes)
    }
}

/// The scopes of ours in a claim; an issuer may have others.
fn scopes_of(claim: &Value) -> BTreeSet<Scope> {
    let names: Vec<&str> = match claim {
        Value::String(names) => names.split_whitespace().collect(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter_map(|name| name.parse().ok()).collect()
}
