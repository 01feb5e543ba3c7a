//! What programs may ask, for people: every address of the API in a list. The description itself is the API's own.

use askama::Template;

use super::failure::PageResult;
use super::page::{Shell, draw};
use super::visit::Visit;
use crate::api::{API_ROUTES, PREFIX};

/// One address.
pub(crate) struct AddressRow {
    method: &'static str,
    path: String,
    summary: &'static str,
    scope: &'static str,
}

#[derive(Template)]
#[template(path = "pages/api.html")]
pub(crate) struct ApiPage {
    shell: Shell,
    prefix: &'static str,
    addresses: Vec<AddressRow>,
}

/// `GET /api/swagger`.
pub(crate) async fn show(visit: Visit) -> PageResult {
    draw(&page(&visit))
}

/// The page.
pub(crate) fn page(visit: &Visit) -> ApiPage {
    let row = |route: &crate::api::ApiRoute| AddressRow {
        method: route.method.as_str(),
        path: route.pattern.replace("{*", "{"),
        summary: route.summary,
        scope: route.scope,
    };
    ApiPage { shell: Shell::of(visit), prefix: PREFIX, addresses: API_ROUTES.iter().map(row).collect() }
}
