//! The API's description (OpenAPI 3.1): made of the routes and of the types of their handlers'
//! arguments and answers, so that it cannot say anything else than they do.

use aide::axum::ApiRouter;
use aide::generate::{self, GenContext};
use aide::openapi::{
    Components, Header, HeaderStyle, Info, License, MediaType, OpenApi, Operation, Parameter,
    ParameterSchemaOrContent, ReferenceOr, Response, SchemaObject, SecurityScheme, StatusCode, Tag,
};
use aide::operation::parameters_from_schema;
use aide::swagger::Swagger;
use aide::transform::TransformOperation;
use aide::util::iter_operations_mut;
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};

pub(crate) use aide::operation::ParamLocation;

use crate::App;
use crate::problem::{Problem, known};

/// Name of the way in which callers say who they are.
pub(crate) const TOKEN: &str = "token";

const TAGS: [(&str, &str); 8] = [
    ("exports", "Request an export, watch it, fetch its files."),
    ("users", "Users as they are read: a stream, a list, a count."),
    ("fields", "What can leave, and what never does."),
    (
        "plugins",
        "Upload plugins, watch their admission, try them, see what they log and cost.",
    ),
    ("webhooks", "Tell an address of the end of exports."),
    ("problems", "What the codes of problems mean."),
    ("audit", "What left, what was refused, and who asked."),
    ("auth0", "The users-exports API of Auth0, for its clients."),
];

/// Empties what a thread may remember of other descriptions; call it before routes are made.
pub(crate) fn begin() {
    generate::in_context(|ctx| {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        ctx.schema = SchemaGenerator::new(settings);
    });
}

/// The routes, among them those at which their own description is to be had.
pub(crate) fn finish(routes: ApiRouter<App>) -> (Router<App>, OpenApi) {
    let mut document = OpenApi {
        info: Info {
            title: "Exeat".to_owned(),
            summary: Some("Consistent exports of a tenant's users, of what may leave.".to_owned()),
            description: Some(
                "Every answer that says no is a problem (RFC 9457) with a stable code, which is explained at its type."
                    .to_owned(),
            ),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            license: Some(License {
                name: "Apache-2.0".to_owned(),
                identifier: Some("Apache-2.0".to_owned()),
                ..License::default()
            }),
            ..Info::default()
        },
        tags: TAGS
            .map(|(name, description)| Tag {
                name: name.to_owned(),
                description: Some(description.to_owned()),
                ..Tag::default()
            })
            .to_vec(),
        components: Some(Components {
            security_schemes: [(TOKEN.to_owned(), ReferenceOr::Item(bearer()))].into_iter().collect(),
            ..Components::default()
        }),
        ..OpenApi::default()
    };
    let router = routes.finish_api(&mut document);
    let paths = document
        .paths
        .iter_mut()
        .flat_map(|paths| paths.paths.values_mut());
    for path in paths.filter_map(ReferenceOr::as_item_mut) {
        for (_, operation) in iter_operations_mut(path) {
            if let Some(responses) = &mut operation.responses {
                responses.responses.sort_keys();
            }
        }
    }
    (router, document)
}

fn bearer() -> SecurityScheme {
    SecurityScheme::Http {
        scheme: "bearer".to_owned(),
        bearer_format: Some("exeat_…".to_owned()),
        description: Some("An API token (exeat token create). What it may do, its scopes say.".to_owned()),
        extensions: <_>::default(),
    }
}

/// Routes at which the description is to be had: for programs, and for people.
pub(crate) fn routes(document: &OpenApi) -> Router<App> {
    let json = Bytes::from(serde_json::to_vec(document).unwrap_or_default());
    let json = ([(header::CONTENT_TYPE, "application/json")], json);
    let page = Bytes::from(Swagger::new("openapi.json").with_title("Exeat").html());
    Router::new()
        .route("/openapi.json", get(async move || json))
        .route("/docs", get(async move || Html(page)))
}

/// What a description says of an operation beyond its types.
pub(crate) trait Describe: Sized {
    /// Its name for programs, its group, and what it does.
    fn named(self, id: &str, tag: &str, summary: &str) -> Self;

    /// Further problems that it may answer.
    fn refuses(self, codes: &[&'static str]) -> Self;

    /// An answer of bytes, in one of these media types.
    fn answers_bytes(self, status: u16, what: &str, media_types: &[&str]) -> Self;

    /// A body of bytes.
    fn takes_bytes(self, what: &str, media_type: &str) -> Self;
}

impl Describe for TransformOperation<'_> {
    fn named(self, id: &str, tag: &str, summary: &str) -> Self {
        self.id(id).tag(tag).summary(summary)
    }

    fn refuses(mut self, codes: &[&'static str]) -> Self {
        generate::in_context(|ctx| may_refuse(ctx, self.inner_mut(), codes));
        self
    }

    fn answers_bytes(mut self, status: u16, what: &str, media_types: &[&str]) -> Self {
        let content = media_types
            .iter()
            .map(|media_type| ((*media_type).to_owned(), MediaType::default()));
        let response = Response {
            description: what.to_owned(),
            content: content.collect(),
            ..Response::default()
        };
        let responses = &mut self.inner_mut().responses.get_or_insert_default().responses;
        responses.insert(StatusCode::Code(status), ReferenceOr::Item(response));
        self
    }

    fn takes_bytes(mut self, what: &str, media_type: &str) -> Self {
        self.inner_mut().request_body = Some(ReferenceOr::Item(aide::openapi::RequestBody {
            description: Some(what.to_owned()),
            content: [(media_type.to_owned(), MediaType::default())]
                .into_iter()
                .collect(),
            required: true,
            ..aide::openapi::RequestBody::default()
        }));
        self
    }
}

/// Notes that an operation may answer problems of these codes, all of one status in one place.
pub(crate) fn may_refuse(ctx: &mut GenContext, operation: &mut Operation, codes: &[&'static str]) {
    let schema = ctx.schema.subschema_for::<Problem>();
    let responses = &mut operation.responses.get_or_insert_default().responses;
    for code in codes.iter().map(|name| known(name)) {
        let entry = responses.entry(StatusCode::Code(code.status));
        let response = entry.or_insert_with(|| {
            let media_type = MediaType {
                schema: Some(of(schema.clone())),
                ..MediaType::default()
            };
            ReferenceOr::Item(Response {
                content: [("application/problem+json".to_owned(), media_type)]
                    .into_iter()
                    .collect(),
                ..Response::default()
            })
        });
        let ReferenceOr::Item(response) = response else {
            continue;
        };
        let line = format!("`{}`: {}.", code.name, code.title);
        if !response.description.contains(&line) {
            if !response.description.is_empty() {
                response.description.push('\n');
            }
            response.description.push_str(&line);
        }
    }
}

/// Adds the members of a type as parameters. Those of a query need not be there to be nothing.
pub(crate) fn add_parameters<T: JsonSchema>(
    ctx: &mut GenContext,
    operation: &mut Operation,
    location: ParamLocation,
) {
    let schema = ctx.schema.root_schema_for::<T>();
    let mut parameters = parameters_from_schema(ctx, schema, location);
    for parameter in &mut parameters {
        let data = parameter.parameter_data_mut();
        data.explode = None;
        if let ParameterSchemaOrContent::Schema(schema) = &mut data.format {
            without_null(&mut schema.json_schema);
        }
    }
    operation
        .parameters
        .extend(parameters.into_iter().map(ReferenceOr::<Parameter>::Item));
}

/// A query has no null.
fn without_null(schema: &mut Schema) {
    let Some(types) = schema.get_mut("type") else {
        return;
    };
    let left = types.as_array().map(|types| {
        let mut left = types.iter().filter(|name| *name != "null");
        left.next().cloned().unwrap_or_default()
    });
    if let Some(left) = left {
        *types = left;
    }
}

/// Adds a header of text to an answer.
pub(crate) fn add_header(ctx: &mut GenContext, response: &mut Response, name: &str, what: &str) {
    let header = Header {
        description: Some(what.to_owned()),
        style: HeaderStyle::Simple,
        required: true,
        deprecated: None,
        format: ParameterSchemaOrContent::Schema(of(ctx.schema.subschema_for::<String>())),
        example: None,
        examples: <_>::default(),
        extensions: <_>::default(),
    };
    response
        .headers
        .insert(name.to_owned(), ReferenceOr::Item(header));
}

/// A schema, as part of the description.
pub(crate) fn of(json_schema: Schema) -> SchemaObject {
    SchemaObject {
        json_schema,
        external_docs: None,
        example: None,
    }
}
