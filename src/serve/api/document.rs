//! The description of the API in OpenAPI 3.1, written from the table of routes and from the types themselves, so that it
//! says what the program does.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::refusal::Error;
use super::route::{ApiMethod, ApiRoute};
use super::routes::API_ROUTES;

/// Schemas by name.
pub(crate) type Schemas = BTreeMap<String, Value>;
/// Writes a type's schemas into the collection and gives the reference to it.
pub(crate) type SchemaOf = fn(&mut Schemas) -> Value;

/// What a body is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// There is none.
    Nothing,
    /// JSON of this type.
    Json(SchemaOf),
    /// A JSON list of this type, a page at a time.
    List(SchemaOf),
    /// JSON of one type or a list of it.
    OneOrList(SchemaOf),
    /// JSON of this type, or text.
    JsonOrText(SchemaOf),
    /// Any JSON.
    AnyJson,
    /// Text.
    Text(&'static str),
    /// Bytes of a file.
    Bytes,
}

/// The reference to a type's schema.
pub(crate) fn schema<T: ToSchema>(schemas: &mut Schemas) -> Value {
    let mut below = Vec::new();
    T::schemas(&mut below);
    below.push((T::name().into_owned(), T::schema()));
    for (name, schema) in below {
        schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
    }
    json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
}

/// The whole document.
pub(crate) fn document() -> Value {
    let mut schemas = Schemas::new();
    let error = schema::<Error>(&mut schemas);
    let mut paths = Map::new();
    for route in API_ROUTES {
        let path = paths.entry(documented(route.pattern)).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_ascii_lowercase(), operation(route, &mut schemas));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "gitgrit-ops",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The part of the Gitea family's API that this site speaks. See docs/api.md.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{}, { "token": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "refusal": {
                    "description": "Why there is no answer",
                    "content": { "application/json": { "schema": error } },
                },
            },
            "securitySchemes": {
                "token": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "`token ggt_…` or `Bearer ggt_…`",
                },
                "basic": { "type": "http", "scheme": "basic" },
            },
        },
    })
}

/// The path as OpenAPI writes it.
pub(crate) fn documented(pattern: &str) -> String {
    pattern.replace("{*", "{")
}

fn operation(route: &ApiRoute, schemas: &mut Schemas) -> Value {
    let status = route.status.to_string();
    let mut success = json!({ "description": "Done" });
    if let Some(content) = content(route.answer, schemas) {
        success["content"] = content;
    }
    if matches!(route.answer, Shape::List(_)) {
        success["headers"] = json!({
            "X-Total-Count": { "description": "How many there are in all", "schema": { "type": "integer" } },
            "Link": { "description": "The other pages", "schema": { "type": "string" } },
        });
    }
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "tags": [tag(route.pattern)],
        "parameters": parameters(route),
        "responses": {
            status: success,
            "default": { "$ref": "#/components/responses/refusal" },
        },
    });
    if route.method == ApiMethod::Put && route.status == 200 {
        operation["responses"]["201"] = operation["responses"]["200"].clone();
    }
    if !route.scope.is_empty() {
        operation["x-scope"] = json!(route.scope);
    }
    if route.can_be_known {
        operation["responses"]["304"] = json!({ "description": "The client has it already" });
    }
    if let Some(content) = content(route.body, schemas) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn content(shape: Shape, schemas: &mut Schemas) -> Option<Value> {
    let json_of = |schema: Value| json!({ "application/json": { "schema": schema } });
    Some(match shape {
        Shape::Nothing => return None,
        Shape::Json(of) => json_of(of(schemas)),
        Shape::List(of) => json_of(json!({ "type": "array", "items": of(schemas) })),
        Shape::OneOrList(of) => {
            let one = of(schemas);
            json_of(json!({ "anyOf": [one, { "type": "array", "items": one }] }))
        }
        Shape::JsonOrText(of) => {
            let mut content = json_of(of(schemas));
            content["text/plain"] = json!({ "schema": { "type": "string" } });
            content
        }
        Shape::AnyJson => json_of(json!({ "type": "object" })),
        Shape::Text(kind) => json!({ kind: { "schema": { "type": "string" } } }),
        Shape::Bytes => {
            let bytes = json!({ "schema": { "type": "string", "format": "binary" } });
            let kinds = [
                "application/octet-stream",
                "application/gzip",
                "application/zip",
                "image/gif",
                "image/jpeg",
                "image/png",
                "image/webp",
                "text/plain",
            ];
            kinds.into_iter().map(|kind| (kind.to_owned(), bytes.clone())).collect()
        }
    })
}

fn parameters(route: &ApiRoute) -> Vec<Value> {
    let parts = route.pattern.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = parts.map(|name| {
        let name = name.trim_start_matches('*');
        let kind = if name == "id" { json!({ "type": "integer", "format": "int64" }) } else { text(1) };
        json!({ "name": name, "in": "path", "required": true, "schema": kind })
    });
    let in_query = route.parameters.iter().map(|name| {
        let kind = match *name {
            "page" | "limit" | "per_page" | "uid" => json!({ "type": "integer", "format": "int64" }),
            "stat" | "files" | "recursive" | "archived" => json!({ "type": "boolean" }),
            _ => text(0),
        };
        json!({ "name": name, "in": "query", "required": false, "schema": kind })
    });
    in_path.chain(in_query).collect()
}

fn text(least: usize) -> Value {
    json!({ "type": "string", "minLength": least })
}

/// A name that no other operation has, as in `get_repos_owner_repo`.
fn name(route: &ApiRoute) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let path: String = route.pattern.chars().filter(|c| !matches!(c, '{' | '}' | '*')).map(plain).collect();
    format!("{}{path}", route.method.as_str().to_ascii_lowercase())
}

fn tag(pattern: &str) -> &str {
    match pattern.split('/').nth(1).unwrap_or_default() {
        "user" | "users" => "user",
        "repos" | "repositories" => "repository",
        "orgs" | "teams" => "organization",
        "admin" => "admin",
        _ => "miscellaneous",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_in_the_document_and_the_reverse() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.to_ascii_uppercase(), path.clone()))
        });
        let routes = API_ROUTES.iter().map(|route| (route.method.as_str().to_owned(), documented(route.pattern)));
        assert_eq!(operations.collect::<BTreeSet<_>>(), routes.clone().collect::<BTreeSet<_>>());
        assert_eq!(routes.count(), API_ROUTES.len());
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_name_is_its_own() {
        let document = document();
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for reference in references {
            assert!(document.pointer(&format!("/{reference}")).is_some(), "{reference}");
        }
        let names: BTreeSet<_> = API_ROUTES.iter().map(name).collect();
        assert_eq!(names.len(), API_ROUTES.len());
    }

    /// `GITGRIT_BLESS=1` writes it anew.
    #[test]
    fn the_description_in_the_manual_is_the_one_that_is_served() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let now = format!("{:#}\n", document());
        if std::env::var_os("GITGRIT_BLESS").is_some() {
            base::file::write_atomic(&path, now.as_bytes(), 0o644).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == now, "docs/openapi.json differs; run this test with GITGRIT_BLESS=1");
    }
}
