//! Signed links: one file of an export, for whoever has the address, for a short time.
//!
//! A link speaks for the token in whose name it was made: what the token may no longer do when the
//! link is used, the link may not either.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use exeat_directory::links::LinkKey;
use exeat_directory::tokens::{Bearer, Credential, Scope};
use exeat_directory::{Directory, Tenant, now_us};
use hmac::{Hmac, KeyInit as _, Mac as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;
use ulid::Ulid;

use crate::error::EngineError;

/// How long a link lives if nobody says otherwise.
pub const LINK_LIFETIME: Duration = Duration::from_secs(60);

/// How long a link may live.
pub const MAX_LINK_LIFETIME: Duration = Duration::from_secs(3_600);

/// What stands before tenant and subject where a link's token is one that an issuer signed.
const SIGNED: &str = "oidc:";

/// What is signed begins with this, so that no other use of a key could stand for a link.
const PURPOSE: &[u8] = b"exeat download link 1";

/// A signed link, as its query has it. Export and file stand in its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedLink {
    /// The token in whose name it was made.
    pub token: String,
    /// Until when it is good: seconds since 1970-01-01T00:00:00Z.
    pub expires: i64,
    /// Its own id.
    pub link: String,
    /// Whether it is good for one download alone.
    #[serde(default)]
    pub once: bool,
    /// What the file is called for whoever downloads it, if not as in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the token must be allowed for the link to be good, if not to read exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The key under which it is signed.
    pub key: String,
    /// HMAC-SHA-256 over all of it, and over export and file; base64url.
    pub signature: String,
}

/// A link is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkRefusal {
    /// It was never signed like this.
    #[error("the link is not as it was signed, or its key was revoked")]
    Invalid,
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
    /// It had its one download.
    #[error("the link was good for one download and had it")]
    Used,
    /// Its token was revoked, has expired, or lacks the scope.
    #[error("the token in whose name the link was made may not download any more")]
    NotAllowed,
}

impl LinkRefusal {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "link-invalid",
            Self::Expired => "link-expired",
            Self::Used => "link-used",
            Self::NotAllowed => "link-not-allowed",
        }
    }
}

/// What a link is to be like.
#[derive(Clone, Copy, Debug)]
pub struct LinkTerms<'a> {
    /// For how long it is good; an hour at most.
    pub lifetime: Duration,
    /// Whether it is good for one download alone.
    pub once: bool,
    /// What the file is called for whoever downloads it, if not as it is.
    pub name: Option<&'a str>,
    /// The scope by which it is good.
    pub scope: Scope,
}

impl Default for LinkTerms<'_> {
    fn default() -> Self {
        Self {
            lifetime: LINK_LIFETIME,
            once: false,
            name: None,
            scope: Scope::ReadExports,
        }
    }
}

/// Signs a link to a file of an export, in the name of a token.
///
/// # Errors
/// The directory refused.
pub async fn sign_link(
    directory: &Directory,
    bearer: &Bearer,
    export: &str,
    file: &str,
    terms: LinkTerms<'_>,
) -> Result<SignedLink, EngineError> {
    let key = directory.link_key().await?;
    let lifetime = terms.lifetime.min(MAX_LINK_LIFETIME);
    let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or_default();
    let wanted = now_us() / 1_000_000 + lifetime;
    let (token, expires) = match &bearer.credential {
        Credential::Token { token_id, .. } => (token_id.clone(), wanted),
        // Nobody can be asked whether it is still good: the link is good for no longer than it.
        Credential::Signed { subject, expires } => {
            let token = format!("{SIGNED}{}:{subject}", bearer.tenant.name());
            (token, wanted.min(*expires))
        }
    };
    let mut link = SignedLink {
        token,
        expires,
        link: Ulid::new().to_string(),
        once: terms.once,
        name: terms.name.map(str::to_owned),
        scope: (terms.scope != Scope::ReadExports).then(|| terms.scope.name().to_owned()),
        key: key.key_id.clone(),
        signature: String::new(),
    };
    link.signature = BASE64URL_NOPAD.encode(&link.mac(&key, export, file).finalize().into_bytes());
    Ok(link)
}

impl SignedLink {
    /// Who it speaks for, if it is good for this file. One that is good once is used up by `taking`
    /// the file, not by asking about it.
    ///
    /// # Errors
    /// The directory refused.
    pub async fn redeem(
        &self,
        directory: &Directory,
        export: &str,
        file: &str,
        taking: bool,
    ) -> Result<Result<Bearer, LinkRefusal>, EngineError> {
        let key = directory.accepted_link_key(&self.key, MAX_LINK_LIFETIME).await?;
        let signature = BASE64URL_NOPAD.decode(self.signature.as_bytes());
        let (Some(key), Ok(signature)) = (key, signature) else {
            return Ok(Err(LinkRefusal::Invalid));
        };
        if self.mac(&key, export, file).verify_slice(&signature).is_err() {
            return Ok(Err(LinkRefusal::Invalid));
        }
        let expires_us = self.expires.saturating_mul(1_000_000);
        if now_us() >= expires_us {
            return Ok(Err(LinkRefusal::Expired));
        }
        let bearer = self.bearer(directory).await?;
        let scope = self.scope();
        let allowed = |bearer: &Bearer| scope.is_some_and(|scope| bearer.scopes.contains(&scope));
        let Some(bearer) = bearer.filter(allowed) else {
            return Ok(Err(LinkRefusal::NotAllowed));
        };
        if self.once && taking && !directory.use_link_up(&self.link, expires_us).await? {
            return Ok(Err(LinkRefusal::Used));
        }
        Ok(Ok(bearer))
    }

    /// In whose trail it belongs that it was refused. Where it was never signed by us, only the id of
    /// a token says so, which nobody can guess; names are anybody's to write.
    ///
    /// # Errors
    /// The directory refused.
    pub async fn holder(
        &self,
        directory: &Directory,
        refusal: LinkRefusal,
    ) -> Result<Option<(Tenant, String)>, EngineError> {
        let signed = self.signed();
        if signed.is_some() && refusal == LinkRefusal::Invalid {
            return Ok(None);
        }
        let Some((tenant, subject)) = signed else {
            let holder = directory.holder_of(&self.token).await?;
            return Ok(holder.map(|(tenant, name)| (tenant, format!("token:{name}"))));
        };
        let tenant = directory.tenant(tenant).await.ok();
        Ok(tenant.map(|tenant| (tenant, format!("oidc:{subject}"))))
    }

    async fn bearer(&self, directory: &Directory) -> Result<Option<Bearer>, EngineError> {
        let Some((tenant, subject)) = self.signed() else {
            return Ok(directory.bearer_of(&self.token).await?);
        };
        Ok(Some(Bearer {
            tenant: directory.tenant(tenant).await?,
            credential: Credential::Signed {
                subject: subject.to_owned(),
                expires: self.expires,
            },
            // It had this one when the link was signed, and cannot have lost it since.
            scopes: self.scope().into_iter().collect(),
        }))
    }

    /// Tenant and subject, where the link was made in the name of a token that an issuer signed.
    fn signed(&self) -> Option<(&str, &str)> {
        self.token.strip_prefix(SIGNED)?.split_once(':')
    }

    fn scope(&self) -> Option<Scope> {
        let scope = self.scope.as_deref().map_or(Ok(Scope::ReadExports), str::parse);
        scope.ok()
    }

    fn mac(&self, key: &LinkKey, export: &str, file: &str) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&key.key).expect("HMAC takes a key of any length");
        mac.update(PURPOSE);
        let expires = self.expires.to_string();
        let once = if self.once { "once" } else { "" };
        let [name, scope] = [&self.name, &self.scope].map(|part| part.as_deref().unwrap_or_default());
        for part in [
            export,
            file,
            &self.token,
            &expires,
            &self.link,
            once,
            name,
            scope,
            &self.key,
        ] {
            // The length first, so that nothing can move from one part to the next.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn a_link_is_good_for_what_was_signed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&Directory::in_folder(folder.path()))
            .await
            .unwrap();
        let (acme, _) = directory.ensure_tenant("acme").await.unwrap();
        let scopes = BTreeSet::from([Scope::ReadExports]);
        let token = directory
            .create_token(&acme, "reader", &scopes, None)
            .await
            .unwrap();
        let other = directory
            .create_token(&acme, "other", &scopes, None)
            .await
            .unwrap();
        let bearer = directory.authenticate(&token.secret).await.unwrap().unwrap();
        let link = sign_link(&directory, &bearer, "exp_1", "users.csv", LinkTerms::default())
            .await
            .unwrap();
        let redeemed = async |link: &SignedLink, export: &str, file: &str| {
            link.redeem(&directory, export, file, true)
                .await
                .unwrap()
                .map(|bearer| bearer.actor())
        };
        assert_eq!(
            redeemed(&link, "exp_1", "users.csv").await.unwrap(),
            "token:reader"
        );
        let changed = [
            (link.clone(), "exp_2", "users.csv"),
            (link.clone(), "exp_1", "rejects.ndjson"),
            (link.clone(), "exp_1u", "sers.csv"),
            (
                SignedLink {
                    expires: link.expires + 1,
                    ..link.clone()
                },
                "exp_1",
                "users.csv",
            ),
            (
                SignedLink {
                    token: other.token_id.clone(),
                    ..link.clone()
                },
                "exp_1",
                "users.csv",
            ),
            (
                SignedLink {
                    link: "x".to_owned(),
                    ..link.clone()
                },
                "exp_1",
                "users.csv",
            ),
            (
                SignedLink {
                    once: true,
                    ..link.clone()
                },
                "exp_1",
                "users.csv",
            ),
            (
                SignedLink {
                    key: "x".to_owned(),
                    ..link.clone()
                },
                "exp_1",
                "users.csv",
            ),
            (
                SignedLink {
                    signature: "eA".to_owned(),
                    ..link.clone()
                },
                "exp_1",
                "users.csv",
            ),
            (
                SignedLink {
                    signature: "%".to_owned(),
                    ..link.clone()
                },
                "exp_1",
                "users.csv",
            ),
        ];
        for (link, export, file) in changed {
            assert_eq!(
                redeemed(&link, export, file).await,
                Err(LinkRefusal::Invalid),
                "{link:?}"
            );
        }
        let past = sign_link(
            &directory,
            &bearer,
            "exp_1",
            "users.csv",
            LinkTerms {
                lifetime: Duration::ZERO,
                ..LinkTerms::default()
            },
        )
        .await
        .unwrap();
        assert_eq!(
            redeemed(&past, "exp_1", "users.csv").await,
            Err(LinkRefusal::Expired)
        );
        directory.revoke_token(&acme, &token.token_id).await.unwrap();
        assert_eq!(
            redeemed(&link, "exp_1", "users.csv").await,
            Err(LinkRefusal::NotAllowed)
        );
    }
}
