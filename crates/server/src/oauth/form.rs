//! Reads the parameters of an OAuth request, however they were sent (contract section 6, RFC 6749 appendix B).

use std::mem;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, header};
use memchr::memchr2;
use patron_core::limits;
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use super::error::{OAuthError, echo};
use crate::limits::BOUNDARY_BYTES;

/// A parameter's value: it may be a secret, so its memory is wiped and this module never prints it.
type Value = Zeroizing<String>;

/// The parameters of an OAuth request: those of its query, then those of its body, in the order they were sent.
///
/// Parameters with an empty value are not among them (RFC 6749 section 3.1). It has no `Debug`: a client's secret
/// may be inside.
#[derive(Default)]
pub struct Params(Vec<(String, Value)>);

impl Params {
    /// Takes the value of `name` out, or `None` if it was not sent.
    ///
    /// # Errors
    /// `invalid_request` when it was sent more than once (RFC 6749 section 3.2), in the query, the body or both.
    pub fn take(&mut self, name: &str) -> Result<Option<Value>, OAuthError> {
        let mut values = self.take_all(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(OAuthError::request(format!("Parameter '{name}' was sent more than once."))),
        }
    }

    /// Takes out every value of `name`.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<Value> {
        self.0.extract_if(.., |(given, _)| given == name).map(|(_, value)| value).collect()
    }

    /// Adds a parameter as it was sent.
    fn add(&mut self, name: String, value: Value) -> Result<(), OAuthError> {
        if name.contains('\0') || value.contains('\0') {
            return Err(OAuthError::request("A parameter contains a NUL character."));
        }
        // An empty value counts towards the limit no less than another: both cost the same to read.
        if self.0.len() == limits::FORM_FIELDS {
            let text = format!("A request has at most {} parameters.", limits::FORM_FIELDS);
            return Err(OAuthError::request(text));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Adds the pairs of a query or an `application/x-www-form-urlencoded` body.
    fn add_urlencoded(&mut self, text: &[u8]) -> Result<(), OAuthError> {
        for pair in text.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let split = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            let malformed = || OAuthError::request("A parameter is not percent-encoded UTF-8.");
            let mut name = decode(&pair[..split]).ok_or_else(malformed)?;
            let value = decode(pair.get(split + 1..).unwrap_or_default()).ok_or_else(malformed)?;
            self.add(mem::take(&mut *name), value)?;
        }
        Ok(())
    }

    /// Adds the parts of a `multipart/form-data` body (RFC 7578). A part's content type and file name say nothing
    /// that is of use here: every part is text.
    async fn add_multipart(&mut self, boundary: &str, body: Bytes) -> Result<(), OAuthError> {
        let malformed = |_| OAuthError::request("The multipart body is malformed or not finished.");
        let once = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
        let mut parts = multer::Multipart::new(once, boundary);
        while let Some(part) = parts.next_field().await.map_err(malformed)? {
            let name = part.name().filter(|name| !name.is_empty()).map(str::to_owned);
            let name =
                name.ok_or_else(|| OAuthError::request("A part of the multipart body has no name."))?;
            let bytes = part.bytes().await.map_err(malformed)?;
            let Ok(value) = str::from_utf8(&bytes) else {
                return Err(OAuthError::request(format!("Parameter '{}' is not UTF-8.", echo(&name))));
            };
            self.add(name, Zeroizing::new(value.to_owned()))?;
        }
        Ok(())
    }
}

/// Reads the parameters of an OAuth request from its query and its body, which is at most [`limits::BODY_BYTES`].
///
/// The body is a form, urlencoded or multipart; a missing content type is read as urlencoded, and that of an empty
/// body is not looked at (contract sections 10 and 11). `charset` is ignored: the text is UTF-8.
///
/// # Errors
/// [`OAuthError::UnsupportedMediaType`] for a body of another type; `invalid_request` for parameters that are no
/// UTF-8, contain NUL or a broken escape, are more than [`limits::FORM_FIELDS`], or for a broken multipart body.
pub async fn parse_params(
    headers: &HeaderMap,
    query: Option<&str>,
    body: Bytes,
) -> Result<Params, OAuthError> {
    let mut params = Params::default();
    params.add_urlencoded(query.unwrap_or_default().as_bytes())?;
    if !body.is_empty() {
        let mut types = headers.get_all(header::CONTENT_TYPE).into_iter();
        let content_type = types.next().map_or(&b""[..], |value| value.as_bytes());
        let Ok(content_type) = str::from_utf8(content_type) else {
            return Err(OAuthError::UnsupportedMediaType("The content type is not read here.".to_owned()));
        };
        if types.next().is_some() {
            return Err(OAuthError::request("The request has more than one content type."));
        }
        let (essence, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
        match essence.trim().to_ascii_lowercase().as_str() {
            "" | "application/x-www-form-urlencoded" => params.add_urlencoded(&body)?,
            "multipart/form-data" => {
                let boundary = boundary(rest)
                    .ok_or_else(|| OAuthError::request("The multipart boundary is missing."))?;
                params.add_multipart(boundary, body).await?;
            }
            other => {
                let text = format!("Content type '{}' is not read here.", echo(other));
                return Err(OAuthError::UnsupportedMediaType(text));
            }
        }
    }
    // RFC 6749 section 3.1: without a value is as if omitted.
    params.0.retain(|(_, value)| !value.is_empty());
    Ok(params)
}

/// The boundary among the parameters of a content type. Some clients leave one unquoted that holds a `=`, which
/// no strict reader of media types takes; what may stand in a boundary is never a `;` or a quote.
fn boundary(parameters: &str) -> Option<&str> {
    let (_, value) = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    (1..=BOUNDARY_BYTES).contains(&value.len()).then_some(value)
}

/// Decodes one name or value of an urlencoded form; `None` when an escape is broken or the result is no UTF-8.
/// Readers of forms are usually lenient with both, and would then compare something else than what was sent.
pub(crate) fn decode(text: &[u8]) -> Option<Value> {
    // Most are written as they are: ids, secrets, tokens.
    if memchr2(b'%', b'+', text).is_none() {
        return str::from_utf8(text).ok().map(|text| Zeroizing::new(text.to_owned()));
    }
    let spaced: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect());
    let mut escapes = spaced.split(|&b| b == b'%').skip(1);
    let is_escape =
        |rest: &[u8]| matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !escapes.all(is_escape) {
        return None;
    }
    let mut bytes = Vec::with_capacity(spaced.len());
    bytes.extend(percent_decode(&spaced));
    match String::from_utf8(bytes) {
        Ok(value) => Some(Zeroizing::new(value)),
        Err(not_text) => {
            drop(Zeroizing::new(not_text.into_bytes()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http::HeaderValue;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    /// What was read, in order. The body is in memory already, so reading it never has to wait.
    fn read(
        content_type: Option<&[u8]>,
        query: &str,
        body: &[u8],
    ) -> Result<Vec<(String, String)>, OAuthError> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            let Ok(value) = HeaderValue::from_bytes(content_type) else { return Ok(Vec::new()) };
            headers.insert(header::CONTENT_TYPE, value);
        }
        let reading = parse_params(&headers, Some(query), Bytes::copy_from_slice(body)).now_or_never();
        Ok(reading.expect("nothing to wait for")?.0.into_iter().map(|(n, v)| (n, v.to_string())).collect())
    }

    fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
        given.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    const FORM: Option<&[u8]> = Some(b"application/x-www-form-urlencoded");
    const MULTIPART: Option<&[u8]> = Some(b"multipart/form-data; boundary=XyZ");

    #[test]
    fn every_content_type_that_means_a_form() {
        for content_type in [
            None,
            FORM,
            Some(&b""[..]),
            Some(b"application/x-www-form-urlencoded; charset=utf-8"),
            Some(b"application/x-www-form-urlencoded;charset=UTF-8"),
            Some(b"Application/X-WWW-Form-URLencoded ;"),
        ] {
            assert_eq!(read(content_type, "", b"a=1&b=2").unwrap(), pairs(&[("a", "1"), ("b", "2")]));
        }
        for content_type in [
            &b"multipart/form-data; boundary=X=y/Z"[..],
            b"Multipart/Form-Data;BOUNDARY=\"X=y/Z\"",
            b"multipart/form-data; charset=utf-8; boundary=X=y/Z ; x=y",
        ] {
            let body = b"--X=y/Z\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X=y/Z--\r\n";
            assert_eq!(read(Some(content_type), "", body).unwrap(), pairs(&[("a", "1")]));
        }
    }

    #[test]
    fn other_content_types_are_not_read_unless_the_body_is_empty() {
        for content_type in
            [&b"application/json"[..], b"text/plain; charset=utf-8", b"multipart/mixed", b"\xff"]
        {
            assert!(matches!(
                read(Some(content_type), "a=1", b"{}"),
                Err(OAuthError::UnsupportedMediaType(_))
            ));
            assert_eq!(read(Some(content_type), "a=1", b"").unwrap(), pairs(&[("a", "1")]));
        }
        assert_eq!(
            read(Some(b"application/json"), "", b"{}").unwrap_err().description(),
            "Content type 'application/json' is not read here."
        );
    }

    #[test]
    fn multipart_as_clients_write_it() {
        for (header, name) in [
            ("Content-Disposition: form-data; name=\"client_id\"", "client_id"),
            ("Content-Disposition: form-data; name=client_id", "client_id"),
            ("content-disposition:form-data;name=client_id;", "client_id"),
            ("Content-Disposition: form-data; name = client_id ; filename=x.txt", "client_id"),
            ("Content-Disposition: form-data; filename=\"name=x\"; name=\"client_id\"", "client_id"),
            (
                "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=client_id",
                "client_id",
            ),
            (
                "Content-Disposition: form-data; name=\"client_id\"\r\nContent-Type: application/octet-stream",
                "client_id",
            ),
            ("Content-Disposition: form-data; name=\"client_id\"\r\nContent-Length: 3", "client_id"),
        ] {
            let body = format!("--XyZ\r\n{header}\r\n\r\nabc\r\n--XyZ\r\n{header}\r\n\r\n\r\n--XyZ--\r\n");
            assert_eq!(read(MULTIPART, "", body.as_bytes()).unwrap(), pairs(&[(name, "abc")]), "{header}");
        }
    }

    #[test]
    fn a_broken_multipart_body_is_refused() {
        for body in [
            &b"--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n1"[..],
            b"--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XyZ\r\n",
            b"--XyZ\r\nContent-Disposition: form-data; name=a\r\n",
            b"--XyZ\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XyZ--\r\n",
            b"--XyZ\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n1\r\n--XyZ--\r\n",
            b"--XyZ\r\n\r\n1\r\n--XyZ--\r\n",
            b"--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--XyZ--\r\n",
            b"--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n\0\r\n--XyZ--\r\n",
            b"--Other\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--Other--\r\n",
            b"a=1",
        ] {
            let answer = read(MULTIPART, "", body);
            assert!(matches!(answer, Err(OAuthError::InvalidRequest(_))), "{}", body.escape_ascii());
        }
        let body = b"--XyZ--\r\n";
        assert!(matches!(read(Some(b"multipart/form-data"), "", body), Err(OAuthError::InvalidRequest(_))));
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        assert!(matches!(read(Some(long.as_bytes()), "", body), Err(OAuthError::InvalidRequest(_))));
    }

    #[test]
    fn query_then_form_decoded_and_empty_ones_left_out() {
        assert_eq!(
            read(FORM, "a=1&empty=&b&&%C3%A9=%E2%82%AC", b"a=2&x+y=1%2B1+%3d&=nameless").unwrap(),
            pairs(&[("a", "1"), ("\u{e9}", "\u{20ac}"), ("a", "2"), ("x y", "1+1 ="), ("", "nameless")])
        );
    }

    #[test]
    fn what_is_not_percent_encoded_utf_8_is_refused() {
        for text in ["a=%", "a=%4", "a=%4x", "%=1", "a=%ff", "a=%C3", "a=1&b=%zz", "a=%00", "%00=a", "a=%%41"]
        {
            assert!(matches!(read(FORM, text, b""), Err(OAuthError::InvalidRequest(_))), "query {text}");
            assert!(
                matches!(read(FORM, "", text.as_bytes()), Err(OAuthError::InvalidRequest(_))),
                "form {text}"
            );
        }
        assert!(matches!(read(FORM, "", b"a=\xff"), Err(OAuthError::InvalidRequest(_))));
    }

    #[test]
    fn one_parameter_too_many_is_refused() {
        let most = "a=1&".repeat(limits::FORM_FIELDS);
        assert_eq!(read(FORM, &most, b"").unwrap().len(), limits::FORM_FIELDS);
        assert_eq!(read(FORM, "", most.as_bytes()).unwrap().len(), limits::FORM_FIELDS);
        assert!(matches!(read(FORM, &most, b"b=1"), Err(OAuthError::InvalidRequest(_))));
        assert!(matches!(read(FORM, "", format!("{most}b=").as_bytes()), Err(OAuthError::InvalidRequest(_))));
        let part = "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n";
        let body = |parts| format!("{}--XyZ--\r\n", part.repeat(parts));
        assert!(read(MULTIPART, "", body(limits::FORM_FIELDS).as_bytes()).is_ok());
        assert!(matches!(
            read(MULTIPART, "", body(limits::FORM_FIELDS + 1).as_bytes()),
            Err(OAuthError::InvalidRequest(_))
        ));
    }

    #[test]
    fn a_second_content_type_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=x"));
        let answer = parse_params(&headers, None, Bytes::from_static(b"a=1")).now_or_never().unwrap();
        assert!(matches!(answer, Err(OAuthError::InvalidRequest(_))));
    }

    #[test]
    fn a_repeated_parameter_is_named() {
        let mut params = Params::default();
        params.add_urlencoded(b"scope=a&token=1&scope=a&token=").unwrap();
        params.0.retain(|(_, value)| !value.is_empty());
        let error = params.take("scope").err().unwrap();
        assert_eq!(error, OAuthError::request("Parameter 'scope' was sent more than once."));
        assert_eq!(params.take("token").unwrap().unwrap().as_str(), "1");
        assert!(params.take("token").unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_form_breaks_it(query in any::<String>(), body in any::<Vec<u8>>(), kind in any::<Option<Vec<u8>>>()) {
            let _ = read(kind.as_deref(), &query, &body);
            let _ = read(FORM, &query, &body);
            let _ = read(MULTIPART, &query, &body);
        }

        #[test]
        fn no_almost_right_multipart_breaks_it(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    &b"--XyZ"[..], b"--XyZ--", b"\r\n", b"\r\n\r\n", b"--", b"\"", b"a", b"filename", b"\\\"", b";",
                    b"Content-Disposition: form-data; name=", b"\xff", b"Content-Type: text/plain", b"\r\n--Xy",
                ]),
                0..40,
            )
        ) {
            let _ = read(MULTIPART, "", &pieces.concat());
        }

        #[test]
        fn what_is_encoded_decodes_as_the_same(text in any::<String>()) {
            let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            let decoded = decode(encoded.as_bytes()).unwrap();
            prop_assert_eq!(decoded.as_str(), text);
        }
    }
}
