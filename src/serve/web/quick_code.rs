//! QR codes as pictures within a page: drawn here, no script, nothing loaded. Black on white in every scheme, as cameras
//! want it.

use std::fmt::Write;

use qrcode::{Color, QrCode};

use super::failure::Failure;
use super::text::escaped;

/// Free modules around a code (ISO/IEC 18004, section 5.3.8).
const MARGIN: usize = 4;

/// The code of `text` as an SVG element with a label. Fails when the text is longer than a code holds.
pub(crate) fn picture(text: &str, label: &str) -> Result<String, Failure> {
    let code = QrCode::new(text).map_err(|error| Failure::Internal(Box::new(error)))?;
    let (width, side) = (code.width(), code.width() + 2 * MARGIN);
    let mut path = String::new();
    for (place, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            // Writing into a String has no way to fail.
            let _ = write!(path, "M{} {}h1v1h-1z", place % width + MARGIN, place / width + MARGIN);
        }
    }
    Ok(format!(
        r##"<svg class="qr" role="img" aria-label="{}" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><rect width="{side}" height="{side}" fill="#fff"/><path d="{path}" fill="#000"/></svg>"##,
        escaped(label)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_with_its_three_corners() {
        let picture = picture("otpauth://totp/x", "a <label>").unwrap();
        assert!(picture.contains("viewBox=\"0 0 33 33\"") && picture.contains("a &lt;label&gt;"), "{picture}");
        for corner in ["M4 4h", "M28 4h", "M4 28h"] {
            assert!(picture.contains(corner), "{corner}");
        }
        assert!(!picture.contains("M3 3h"), "the margin is free");
        assert!(super::picture(&"x".repeat(5000), "").is_err());
    }
}
