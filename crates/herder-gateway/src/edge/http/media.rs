//! What kind of content a file is, by its name.

use std::path::Path;

/// The `Content-Type` of a file. What is not known is not guessed.
pub(super) fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    let known = KNOWN.iter().find(|(known, _)| *known == extension);
    known.map_or("application/octet-stream", |(_, media)| media)
}

const KNOWN: [(&str, &str); 28] = [
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extension_counts_whatever_its_case() {
        assert_eq!(
            media_type(Path::new("a/b.tar.HTML")),
            "text/html; charset=utf-8"
        );
        assert_eq!(
            media_type(Path::new("a.unknown")),
            "application/octet-stream"
        );
        assert_eq!(media_type(Path::new("html")), "application/octet-stream");
        assert!(KNOWN.is_sorted());
    }
}
