//! Who may: authorization as an argument.

use std::marker::PhantomData;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use exeat_directory::tokens::{Bearer, Credential, Scope};
use exeat_directory::{Directory, Tenant, now_us};
use exeat_engine::{FieldRights, Requester};

use crate::App;
use crate::openapi::{TOKEN, may_refuse};
use crate::problem::Problem;

/// A scope, as a type.
pub(crate) trait Needs: Send + Sync {
    /// The scope; nothing where any valid token will do.
    const SCOPE: Option<Scope>;
}

macro_rules! needs {
    ($($name:ident: $scope:expr;)+) => {$(
        #[derive(Debug)]
        pub(crate) struct $name;
        impl Needs for $name {
            const SCOPE: Option<Scope> = $scope;
        }
    )+};
}
needs! {
    AnyToken: None;
    ReadUsers: Some(Scope::ReadUsers);
    CreateExports: Some(Scope::CreateExports);
    ReadExports: Some(Scope::ReadExports);
    ManageExports: Some(Scope::ManageExports);
    ReadPlugins: Some(Scope::ReadPlugins);
    ManagePlugins: Some(Scope::ManagePlugins);
    ReadAudit: Some(Scope::ReadAudit);
}

/// The holder of a valid token with the scope `S`. Nothing else makes one.
#[derive(Debug)]
pub(crate) struct Granted<S> {
    bearer: Bearer,
    scope: PhantomData<S>,
}

impl<S> Granted<S> {
    /// The tenant whose token it is: the only one that the request can reach.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.bearer.tenant
    }

    /// The holder.
    pub(crate) fn bearer(&self) -> &Bearer {
        &self.bearer
    }

    /// Who it is, for the audit trail.
    pub(crate) fn actor(&self) -> String {
        self.bearer.actor()
    }

    /// Whether they may have sensitive fields.
    pub(crate) fn may_have_sensitive(&self) -> bool {
        self.bearer.scopes.contains(&Scope::ExportSensitive)
    }

    /// Who asks for users, and what they may have.
    pub(crate) fn requester(&self) -> Requester {
        Requester {
            tenant: self.tenant().clone(),
            actor: self.actor(),
            rights: if self.may_have_sensitive() {
                FieldRights::Sensitive
            } else {
                FieldRights::Ordinary
            },
        }
    }
}

impl<S: Needs> Granted<S> {
    /// Whether they would still be let in, for what takes longer than a request.
    pub(crate) async fn still_holds(&self, directory: &Directory) -> bool {
        match &self.bearer.credential {
            Credential::Token { token_id, .. } => {
                let bearer = directory.bearer_of(token_id).await.ok().flatten();
                bearer.is_some_and(|bearer| S::SCOPE.is_none_or(|scope| bearer.scopes.contains(&scope)))
            }
            Credential::Signed { expires, .. } => now_us() / 1_000_000 < *expires,
        }
    }
}

impl<S: Needs> FromRequestParts<App> for Granted<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let Some(token) = token else {
            return Err(Problem::new("unauthorized", "the request has no bearer token")
                .hint("send the header: Authorization: Bearer exeat_…"));
        };
        let Some(bearer) = app.authenticate(token).await? else {
            return Err(Problem::new(
                "unauthorized",
                "the token is unknown, expired or revoked",
            ));
        };
        app.rate_limit.count(&bearer.id())?;
        match S::SCOPE {
            Some(scope) if !bearer.scopes.contains(&scope) => Err(Problem::new(
                "missing-scope",
                format!("the token lacks the scope {}", scope.name()),
            )),
            _ => Ok(Self {
                bearer,
                scope: PhantomData,
            }),
        }
    }
}

impl<S: Needs> OperationInput for Granted<S> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let scopes = S::SCOPE.iter().map(|scope| scope.name().to_owned());
        operation.security = vec![[(TOKEN.to_owned(), scopes.collect())].into_iter().collect()];
        may_refuse(ctx, operation, &["unauthorized", "rate-limited"]);
        if S::SCOPE.is_some() {
            may_refuse(ctx, operation, &["missing-scope"]);
        }
    }
}
