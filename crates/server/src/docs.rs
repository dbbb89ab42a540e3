//! `/openapi.json` and `/docs`: pages without scripts and without outside requests.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderValue, StatusCode};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;

use crate::app::Request;
use crate::openapi;
use crate::respond::{self, Answer, Failure};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const STYLE: &str = include_str!("../../../assets/docs.css");

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(openapi::document);
static DOCUMENT_JSON: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_json().unwrap_or_default());
static PAGE: LazyLock<String> = LazyLock::new(|| render(&DOCUMENT));

/// `GET /openapi.json`.
pub async fn openapi_json(_request: Request) -> Result<Answer, Failure> {
    let json = HeaderValue::from_static("application/json");
    Ok(respond::with_body(StatusCode::OK, json, Body::from(DOCUMENT_JSON.as_str())))
}

/// `GET /docs`: the same to read.
pub async fn page(_request: Request) -> Result<Answer, Failure> {
    Ok(html(&PAGE))
}

/// `GET /docs/style.css`.
pub async fn style(_request: Request) -> Result<Answer, Failure> {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    let mut answer = respond::with_body(StatusCode::OK, css, Body::from(STYLE));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(answer)
}

fn html(page: &str) -> Answer {
    let mut answer = respond::with_body(StatusCode::OK, HTML, Body::from(page.to_owned()));
    let policy =
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page around `body`, which is HTML. Links are relative, so that a prefix in front does not matter.
fn shell(title: &str, style: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} · Patron</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"{style}\"></head><body><main>{body}</main></body></html>",
        title = escaped(title)
    )
}

fn render(document: &OpenApi) -> String {
    let mut body = format!(
        "<h1>{}</h1><p>{}</p><p>The same for programs: <a href=\"openapi.json\">openapi.json</a></p>",
        escaped(&document.info.title),
        escaped(document.info.description.as_deref().unwrap_or_default())
    );
    let mut contents = String::new();
    let mut sections = String::new();
    for (path, item) in &document.paths.paths {
        let methods = [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
            ("OPTIONS", &item.options),
        ];
        for (method, operation) in methods {
            let Some(operation) = operation else { continue };
            let anchor = format!("{}-{}", method.to_lowercase(), path.replace(['/', '{', '}', '.'], "-"));
            let summary = escaped(operation.summary.as_deref().unwrap_or_default());
            let path = escaped(path);
            let _ = write!(
                contents,
                "<li><a href=\"#{anchor}\"><b class=\"method\">{method}</b> <code>{path}</code></a> {summary}</li>"
            );
            let _ = write!(
                sections,
                "<section id=\"{anchor}\"><h2><b class=\"method\">{method}</b> <code>{path}</code></h2><p>{summary}</p>{}</section>",
                operation_html(operation)
            );
        }
    }
    let _ = write!(body, "<nav aria-label=\"Endpoints\"><ul>{contents}</ul></nav>{sections}<h2>Models</h2>");
    if let Some(components) = &document.components {
        for (name, schema) in &components.schemas {
            let schema = serde_json::to_value(schema).unwrap_or_default();
            let _ = write!(
                body,
                "<section id=\"model-{0}\"><h3>{0}</h3>{1}</section>",
                escaped(name),
                model_html(&schema)
            );
        }
    }
    shell("API", "docs/style.css", &body)
}

fn operation_html(operation: &Operation) -> String {
    let mut html = String::new();
    if let Some(description) = &operation.description {
        let _ = write!(html, "<p>{}</p>", escaped(description));
    }
    let value = serde_json::to_value(operation).unwrap_or_default();
    if let Some(parameters) = value["parameters"].as_array().filter(|parameters| !parameters.is_empty()) {
        html.push_str("<table><thead><tr><th>Parameter</th><th>In</th><th>Meaning</th></tr></thead><tbody>");
        for parameter in parameters {
            let text = |field: &str| escaped(parameter[field].as_str().unwrap_or_default());
            let _ = write!(
                html,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                text("name"),
                text("in"),
                text("description")
            );
        }
        html.push_str("</tbody></table>");
    }
    if let Some(content) = value["requestBody"]["content"].as_object() {
        for (media_type, content) in content {
            let _ = write!(
                html,
                "<p>Body: <code>{}</code> {}</p>",
                escaped(media_type),
                type_html(&content["schema"])
            );
        }
    }
    html.push_str("<table><thead><tr><th>Status</th><th>When</th><th>Body</th></tr></thead><tbody>");
    for (status, response) in value["responses"].as_object().into_iter().flatten() {
        let schema = response["content"].as_object().and_then(|content| content.values().next());
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(status),
            escaped(response["description"].as_str().unwrap_or_default()),
            schema.map(|content| type_html(&content["schema"])).unwrap_or_default()
        );
    }
    html.push_str("</tbody></table>");
    html
}

/// A schema in a few words: a link to its model, or its type.
fn type_html(schema: &serde_json::Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        let name = escaped(name);
        return format!("<a href=\"#model-{name}\">{name}</a>");
    }
    if schema["items"].is_object() {
        return format!("list of {}", type_html(&schema["items"]));
    }
    if let Some(either) = schema["oneOf"].as_array() {
        return either.iter().map(type_html).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        serde_json::Value::Array(types) => {
            escaped(&types.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(" or "))
        }
        other => escaped(other.as_str().unwrap_or("any")),
    }
}

fn model_html(schema: &serde_json::Value) -> String {
    let description = escaped(schema["description"].as_str().unwrap_or_default());
    let mut html = format!("<p>{description}</p>");
    let Some(properties) = schema["properties"].as_object() else { return html };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    html.push_str("<table><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead><tbody>");
    for (name, property) in properties {
        let must = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let _ = write!(
            html,
            "<tr><td><code>{}</code>{must}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            type_html(property),
            escaped(property["description"].as_str().unwrap_or_default())
        );
    }
    html.push_str("</tbody></table>");
    html
}
