//! Recognises gRPC by its content type.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The protocols of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grpc {
    Http2,
    Web,
}

/// Returns the content type of `headers` and its protocol, if it is one of gRPC or gRPC-Web.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<(&HeaderValue, Grpc)> {
    // With two lines of it, a reader may go by either.
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let rest = strip_prefix(value.as_bytes(), b"application/grpc")?;
    let web = strip_prefix(rest, b"-web-text").or_else(|| strip_prefix(rest, b"-web"));
    let protocol = if web.is_some() { Grpc::Web } else { Grpc::Http2 };
    let is_grpc = matches!(web.unwrap_or(rest).first(), None | Some(b'+' | b';' | b' '));
    is_grpc.then_some((value, protocol))
}

fn strip_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(values: &[&str]) -> Option<Grpc> {
        let lines = values.iter().map(|value| (CONTENT_TYPE, value.parse().unwrap()));
        content_type(&HeaderMap::from_iter(lines)).map(|(_, protocol)| protocol)
    }

    #[test]
    fn grpc_is_recognised_exactly() {
        for http2 in [
            "application/grpc",
            "Application/GRPC+proto",
            "application/grpc;x=y",
            "application/grpc ;x",
        ] {
            assert_eq!(protocol(&[http2]), Some(Grpc::Http2), "{http2}");
        }
        for web in ["application/grpc-web", "application/grpc-web-text+proto"] {
            assert_eq!(protocol(&[web]), Some(Grpc::Web), "{web}");
        }
        for no in ["application/grpcx", "application/grpc-webx", "application/json", "text/grpc"] {
            assert_eq!(protocol(&[no]), None, "{no}");
        }
        assert_eq!(protocol(&[]), None);
        assert_eq!(protocol(&["application/grpc", "application/json"]), None);
    }
}
