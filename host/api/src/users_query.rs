//! Which users, as a query says it: `filter=KEY=VALUE` or `filter=EXPRESSION` and `transform=PLUGIN`
//! any number of times, the rest once.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use exeat_engine::{ExportRequest, PluginRequest};
use schemars::JsonSchema;
use serde_json::Value;

use crate::openapi::{ParamLocation, add_parameters, may_refuse};
use crate::problem::Problem;

/// A request for users, from a query.
pub(crate) struct UsersQuery(pub(crate) ExportRequest);

/// The query, as it is described.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "described, and parsed by hand: a key may come again")]
struct Described {
    /// A condition, `state=active`, or an expression of SCIM, `state eq "active"`. Any number of them.
    filter: Option<Vec<String>>,
    /// The fields, in order, with commas between them. Left out: the everyday ones.
    fields: Option<String>,
    /// Whether e-mails and names become `[redacted]`.
    anonymize: Option<bool>,
    /// Only users whose ids come after this one.
    after: Option<String>,
    /// So many users at most.
    #[schemars(range(min = 1))]
    limit: Option<u64>,
    /// A plugin that changes the rows. Any number of them, in order.
    transform: Option<Vec<String>>,
}

impl OperationInput for UsersQuery {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters::<Described>(ctx, operation, ParamLocation::Query);
        may_refuse(ctx, operation, &["invalid-query"]);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for UsersQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse(query: &str) -> Result<ExportRequest, Problem> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query).map_err(|error| wrong(error.to_string()))?;
    let mut request = ExportRequest::default();
    for (key, value) in pairs {
        match key.as_str() {
            "filter" => {
                request
                    .add_condition(&value)
                    .map_err(|key| wrong(format!("the filter \"{key}\" is given twice")))?;
            }
            "fields" => request.fields = Some(value.split(',').map(|name| name.trim().to_owned()).collect()),
            "anonymize" => {
                request.anonymize = value
                    .parse()
                    .map_err(|_| wrong("anonymize is true or false".to_owned()))?;
            }
            "after" => request.after = Some(value),
            "limit" => {
                let limit = value
                    .parse()
                    .map_err(|_| wrong("limit is a whole number".to_owned()))?;
                request.limit = Some(limit);
            }
            "transform" => request.transforms.push(PluginRequest {
                plugin: value,
                digest: None,
                config: Value::Object(serde_json::Map::new()),
            }),
            _ => {
                return Err(wrong(format!(
                    "there is no parameter \"{key}\"; there are filter, fields, anonymize, after, limit and transform"
                )));
            }
        }
    }
    Ok(request)
}

fn wrong(detail: String) -> Problem {
    Problem::new("invalid-query", detail)
}
