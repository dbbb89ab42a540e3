//! The API's description (OpenAPI 3.1): the rows of [`crate::routes`], told to people and generators.
//!
//! The older paths are left out: they answer as `/personal-access-tokens/v1` does, some by older rules, and new
//! clients should not use them. `/openapi.json` is pinned by a snapshot test.

use std::collections::BTreeMap;

use utoipa::OpenApi as _;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi, PathItem, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
};

use patron_api as wire;

use crate::paths::OLDER_PAT_PATHS;
use crate::routes::{Handler, Route, routes};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Patron API",
        description = "Personal access tokens: made, limited, exchanged for access tokens, checked and ended. The \
                       personal access token endpoints are those of SailPoint Identity Security Cloud; they answer \
                       alike under /v2025 and /v2026, and by older rules under /v3, /v2024 and /beta \
                       (…/personal-access-tokens).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(
        wire::AuditEvent,
        wire::AuditParty,
        wire::AuthUser,
        wire::AuthorizationServerMetadata,
        wire::BulkUpdateRequest,
        wire::CreatePersonalAccessTokenRequest,
        wire::CreatePersonalAccessTokenResponse,
        wire::ErrorMessage,
        wire::ErrorResponse,
        wire::Introspection,
        wire::JsonPatchOperation,
        wire::Jwk,
        wire::Jwks,
        wire::OAuthErrorResponse,
        wire::OAuthInfo,
        wire::Owner,
        wire::OwnerType,
        wire::PersonalAccessToken,
        wire::PublicIdentity,
        wire::RateLimitResponse,
        wire::Tenant,
        wire::TokenResponse,
        wire::UnauthorizedResponse
    ))
)]
struct Models;

/// What the table of routes does not say of an endpoint.
struct Told {
    summary: &'static str,
    about: &'static str,
    parameters: &'static [(&'static str, ParameterIn, &'static str)],
    /// Media type and model; a model that ends in `[]` is a list.
    body: Option<(&'static str, &'static str)>,
    /// Status, what it means, and the model of the answer.
    answer: (&'static str, &'static str, Option<&'static str>),
    /// Statuses of errors besides those that every endpoint of its kind has.
    errors: &'static [&'static str],
}

const ID: (&str, ParameterIn, &str) = ("id", ParameterIn::Path, "32 lowercase hex digits.");
const LIMIT: (&str, ParameterIn, &str) = ("limit", ParameterIn::Query, "How many at most: 1 to 250.");
const OFFSET: (&str, ParameterIn, &str) = ("offset", ParameterIn::Query, "How many to leave out in front.");
const COUNT: (&str, ParameterIn, &str) =
    ("count", ParameterIn::Query, "true: the header X-Total-Count says how many there are.");

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const PATCH: &str = "application/json-patch+json";

#[expect(clippy::too_many_lines, reason = "a table, one entry an endpoint")]
fn told(name: &str) -> Option<Told> {
    let plain =
        |summary, about, answer| Told { summary, about, parameters: &[], body: None, answer, errors: &[] };
    Some(match name {
        "create" => Told {
            summary: "Create a personal access token",
            about: "The owner is the caller, or for a managed token the identity that ownerId names. Without expirationDate it never expires, and userAwareTokenNeverExpires \
                    must then be true. The secret is in this answer and nowhere else.",
            parameters: &[],
            body: Some((JSON, "CreatePersonalAccessTokenRequest")),
            answer: (
                "200",
                "Created; the only time that the secret is shown.",
                Some("CreatePersonalAccessTokenResponse"),
            ),
            errors: &["400", "413", "415"],
        },
        "list" => Told {
            summary: "List personal access tokens, oldest first",
            about: "Of oneself (owner-id=me), of one owner, or of all. Everything is answered unless limit and offset \
                    are given.",
            parameters: &[
                ("owner-id", ParameterIn::Query, "me, the id of an identity, or nothing for everyone's."),
                (
                    "filters",
                    ParameterIn::Query,
                    "lastUsed le <date-time>, lastUsed isnull, with not, and, or and parentheses.",
                ),
                LIMIT,
                OFFSET,
                COUNT,
            ],
            body: None,
            answer: ("200", "The list.", Some("PersonalAccessToken[]")),
            errors: &["400"],
        },
        "get" => Told {
            summary: "Show a personal access token",
            about: "",
            parameters: &[ID],
            body: None,
            answer: ("200", "The token.", Some("PersonalAccessToken")),
            errors: &["404"],
        },
        "patch" => Told {
            summary: "Patch a personal access token",
            about: "JSON Patch (RFC 6902) of name, scope, expirationDate and userAwareTokenNeverExpires, all or \
                    nothing. Access tokens already issued keep their scopes; a date drawn closer ends them too.",
            parameters: &[ID],
            body: Some((PATCH, "JsonPatchOperation[]")),
            answer: ("200", "The token as it is now.", Some("PersonalAccessToken")),
            errors: &["400", "404", "413", "415"],
        },
        "delete" => Told {
            summary: "Delete a personal access token",
            about: "Every access token made from it is refused from the next request on.",
            parameters: &[ID],
            body: None,
            answer: ("204", "Deleted.", None),
            errors: &["404"],
        },
        "bulk-update" => Told {
            summary: "Set the expiry of up to 25 personal access tokens",
            about: "One JSON Patch of expirationDate and userAwareTokenNeverExpires for all of them, all or none.",
            parameters: &[],
            body: Some((JSON, "BulkUpdateRequest")),
            answer: ("200", "The tokens as they are now, by id.", Some("PersonalAccessToken[]")),
            errors: &["400", "413", "415"],
        },
        "exchange" => Told {
            summary: "Exchange a personal access token for an access token",
            about: "RFC 6749 section 4.4: grant_type=client_credentials with client_id and client_secret in the form \
                    (urlencoded or multipart), the query or HTTP Basic; scope narrows. The access token is an ES256 JWT (RFC 9068).",
            parameters: &[],
            body: Some((FORM, "")),
            answer: ("200", "The access token.", Some("TokenResponse")),
            errors: &["400", "413", "415"],
        },
        "introspect" => Told {
            summary: "Ask whether an access token works",
            about: "RFC 7662. The caller authenticates as a personal access token of the same tenant.",
            parameters: &[],
            body: Some((FORM, "")),
            answer: ("200", "What the token says, or that it is not active.", Some("Introspection")),
            errors: &["400", "413", "415"],
        },
        "revoke" => Told {
            summary: "End an access token before its time",
            about: "RFC 7009. One of the calling personal access token's own, or anyone's with \
                    idn:all-personal-access-tokens:manage.",
            parameters: &[],
            body: Some((FORM, "")),
            answer: ("200", "It does not work any more.", None),
            errors: &["400", "413", "415"],
        },
        "oauth-info" => {
            plain("Where a client of the original looks first", "", ("200", "Addresses.", Some("OAuthInfo")))
        }
        "jwks" => plain("The public keys", "RFC 7517.", ("200", "The keys.", Some("Jwks"))),
        "metadata" => plain(
            "Where everything is",
            "RFC 8414.",
            ("200", "The metadata.", Some("AuthorizationServerMetadata")),
        ),
        "forward-auth" => Told {
            summary: "Ask whether a request may pass (any method)",
            about: "For nginx auth_request, Caddy forward_auth and Traefik ForwardAuth: 200 with X-Auth-Identity, \
                    X-Auth-User, X-Auth-Client, X-Auth-Tenant and X-Auth-Scope.",
            parameters: &[
                ("scope", ParameterIn::Query, "A scope that the credential must have."),
                ("tenant", ParameterIn::Query, "The tenant that the credential must be of."),
            ],
            body: None,
            answer: ("200", "It may pass.", None),
            errors: &["401", "403", "500", "503"],
        },
        "list-public-identities" => Told {
            summary: "List identities, as everyone may know them",
            about: "",
            parameters: &[
                (
                    "filters",
                    ParameterIn::Query,
                    "id eq, in; alias, email, firstname, lastname eq, sw; with not, and, or and parentheses.",
                ),
                ("sorters", ParameterIn::Query, "name or -name."),
                LIMIT,
                OFFSET,
                COUNT,
            ],
            body: None,
            answer: ("200", "The identities.", Some("PublicIdentity[]")),
            errors: &["400"],
        },
        "get-auth-user" => Told {
            summary: "Show an identity and its levels",
            about: "",
            parameters: &[ID],
            body: None,
            answer: ("200", "The identity.", Some("AuthUser")),
            errors: &["404"],
        },
        "patch-auth-user" => Told {
            summary: "Set an identity's levels",
            about: "JSON Patch of /capabilities, which are the levels.",
            parameters: &[ID],
            body: Some((PATCH, "JsonPatchOperation[]")),
            answer: ("200", "The identity as it is now.", Some("AuthUser")),
            errors: &["400", "404", "413", "415"],
        },
        "get-tenant" => plain("Show the tenant", "", ("200", "The tenant.", Some("Tenant"))),
        "list-audit-events" => Told {
            summary: "List audit events, newest first",
            about: "",
            parameters: &[
                (
                    "filters",
                    ParameterIn::Query,
                    "technicalName eq, in, sw; created ge, gt, le, lt; actor.id and target.id eq, in.",
                ),
                LIMIT,
                OFFSET,
                COUNT,
            ],
            body: None,
            answer: ("200", "The events.", Some("AuditEvent[]")),
            errors: &["400"],
        },
        _ => return None,
    })
}

fn reference(model: &str) -> RefOr<Schema> {
    match model.strip_suffix("[]") {
        Some(item) => RefOr::T(ArrayBuilder::new().items(Ref::from_schema_name(item)).build().into()),
        None => RefOr::Ref(Ref::from_schema_name(model)),
    }
}

fn text() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build().into()
}

fn content(schema: RefOr<Schema>) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

fn body(name: &str, media_type: &str, model: &str) -> RequestBody {
    let schema = if model.is_empty() { form(name) } else { reference(model) };
    RequestBodyBuilder::new().content(media_type, content(schema)).required(Some(Required::True)).build()
}

/// The parameters of an OAuth form.
fn form(name: &str) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new().property("client_id", text()).property("client_secret", text());
    object = if name == "exchange" {
        object.property("grant_type", text()).property("scope", text()).required("grant_type")
    } else {
        object.property("token", text()).property("token_type_hint", text()).required("token")
    };
    RefOr::T(object.build().into())
}

fn answer(meaning: &str, model: Option<&str>) -> Response {
    let response = ResponseBuilder::new().description(meaning);
    match model {
        Some(model) => response.content(JSON, content(reference(model))).build(),
        None => response.build(),
    }
}

fn error(status: &str, oauth: bool) -> (String, Response) {
    let (meaning, model) = match status {
        "400" => ("The request is wrong.", "ErrorResponse"),
        "401" => ("No credential, or one that is not good.", "UnauthorizedResponse"),
        "403" => ("The credential may not do this.", "ErrorResponse"),
        "404" => ("There is nothing there.", "ErrorResponse"),
        "413" => ("The body is over 64 KiB.", "ErrorResponse"),
        "415" => ("The body is of another type.", "ErrorResponse"),
        "429" => ("Too many requests; Retry-After says how long to wait.", "RateLimitResponse"),
        "503" => ("The database is out of reach; Retry-After says how long to wait.", "ErrorResponse"),
        _ => ("A fault of Patron's.", "ErrorResponse"),
    };
    (status.to_owned(), answer(meaning, Some(if oauth { "OAuthErrorResponse" } else { model })))
}

fn operation(name: &str, route: &Route, told: &Told) -> Operation {
    let oauth = told.body.is_some_and(|(media_type, _)| media_type == FORM);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(name))
        .summary(Some(told.summary))
        .response(told.answer.0, answer(told.answer.1, told.answer.2));
    if !told.about.is_empty() {
        operation = operation.description(Some(told.about));
    }
    for (name, place, meaning) in told.parameters {
        operation = operation.parameter(parameter(name, place, meaning));
    }
    if let Some((media_type, model)) = told.body {
        operation = operation.request_body(Some(body(route.name, media_type, model)));
    }
    let with_credential = matches!(route.handler, Handler::Api(..));
    let usual: &[&str] = match (with_credential, oauth) {
        (true, _) => &["401", "403", "429", "500", "503"],
        (false, true) => &["401", "429", "500", "503"],
        (false, false) => &[],
    };
    for status in usual.iter().chain(told.errors) {
        let (status, response) = error(status, oauth);
        operation = operation.response(status, response);
    }
    if with_credential {
        let bearer = SecurityRequirement::new("bearer", Vec::<String>::new());
        let basic = SecurityRequirement::new("basic", Vec::<String>::new());
        operation = operation.security(bearer).security(basic);
    }
    operation.build()
}

fn parameter(name: &str, place: &ParameterIn, meaning: &str) -> Parameter {
    let required = if *place == ParameterIn::Path { Required::True } else { Required::False };
    let parameter = ParameterBuilder::new().name(name).parameter_in(place.clone()).description(Some(meaning));
    parameter.required(required).schema(Some(text())).build()
}

/// The whole description.
pub fn document() -> OpenApi {
    let mut document = Models::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let mut names: BTreeMap<&str, u32> = BTreeMap::new();
    let older = |path: &str| OLDER_PAT_PATHS.iter().any(|(base, ..)| path.starts_with(base));
    for route in routes().iter().filter(|route| !older(&route.path) && !route.path.contains("{*")) {
        let Some(told) = told(route.name) else { continue };
        let method = match route.method.as_ref().map(axum::http::Method::as_str) {
            Some("POST") => HttpMethod::Post,
            Some("PATCH") => HttpMethod::Patch,
            Some("DELETE") => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        // Two rows may share a handler, but no two operations a name (OpenAPI 3.1 section 4.8.10).
        let times = names.entry(route.name).and_modify(|times| *times += 1).or_insert(1);
        let name = if *times == 1 { route.name.to_owned() } else { format!("{}-{times}", route.name) };
        let item = PathItem::new(method, operation(&name, route, &told));
        match document.paths.paths.get_mut(&route.path) {
            Some(known) => known.merge_operations(item),
            None => drop(document.paths.paths.insert(route.path.clone(), item)),
        }
    }
    if let Some(components) = document.components.as_mut() {
        let scheme = |scheme| SecurityScheme::Http(Http::new(scheme));
        components.add_security_scheme("bearer", scheme(HttpAuthScheme::Bearer));
        components.add_security_scheme("basic", scheme(HttpAuthScheme::Basic));
    }
    document
}
