//! Addresses about the site itself.

use axum::routing::{get, post};

use super::document::Shape;
use super::route::{ApiRoute, json, makes, shows};
use super::site::{self, GeneralApiSettings, GeneralRepoSettings, GeneralUiSettings, MarkdownOption, ServerVersion};
use crate::web::Audience;

/// The addresses.
pub(crate) const ROUTES: &[ApiRoute] = {
    use Audience::Everyone;
    &[
        shows("/version", Everyone, "", "The version", || get(site::version)).gives(json::<ServerVersion>()),
        shows("/settings/api", Everyone, "", "Limits of the API", || get(site::api_settings))
            .gives(json::<GeneralApiSettings>()),
        shows("/settings/repository", Everyone, "", "What repositories may have", || get(site::repository_settings))
            .gives(json::<GeneralRepoSettings>()),
        shows("/settings/ui", Everyone, "", "How pages look", || get(site::ui_settings))
            .gives(json::<GeneralUiSettings>()),
        shows("/nodeinfo", Everyone, "", "The site in the words of NodeInfo", || get(site::nodeinfo))
            .gives(Shape::AnyJson),
        shows("/openapi.json", Everyone, "", "This description", || get(site::description)).gives(Shape::AnyJson),
        makes("/markdown", Everyone, "", "Markdown as a page would show it", || post(site::markdown))
            .takes(json::<MarkdownOption>())
            .says(200)
            .gives(Shape::Text("text/html")),
        makes("/markdown/raw", Everyone, "", "Markdown, sent as text, as a page would show it", || {
            post(site::raw_markdown)
        })
        .takes(Shape::Text("text/plain"))
        .says(200)
        .gives(Shape::Text("text/html")),
    ]
};
