//! Signing in and out.

use askama::Template;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use patron_core::secret::{Password, SessionToken};

use super::frame::{self, Frame, Problems, TOKENS};
use super::texts::texts;
use super::visitor::check_csrf;
use super::{Form, Section, Visitor, cookies};
use crate::app::Request;
use crate::limiter::RetryAfterSeconds;
use crate::limits::NEXT_BYTES;
use crate::oauth::metadata::{SIGN_IN, SIGN_OUT};
use crate::paths;
use crate::respond::{Answer, Failure, Shape, challenge};
use crate::sign_in::{Attempt, SignInRefusal, SignedIn};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    csrf: String,
    /// The login name that was typed.
    name: String,
    next: String,
    problems: Problems,
    /// Whether there is more than one tenant to sign in to.
    has_tenants: bool,
}

#[derive(Template)]
#[template(path = "sign_out.html")]
struct SignOutPage {
    frame: Frame,
}

/// What was typed into the form, the password aside, and what is wrong with it.
#[derive(Default)]
struct Typed {
    name: String,
    next: String,
    problems: Problems,
}

/// The page where a browser goes on after signing in: one of these pages. Whatever else a link asks for, such as
/// another host, is not followed.
fn local(next: &str) -> Option<&str> {
    let path = paths::normal(next.split(['?', '#']).next().unwrap_or_default());
    let of_these = path == "/ui" || path.starts_with("/ui/");
    let climbs = path.split('/').any(|segment| segment == "." || segment == "..");
    let plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let local = next.starts_with('/') && !next.starts_with("//");
    let outside = path == SIGN_IN || path == SIGN_OUT;
    (of_these && local && !climbs && plain && !outside && next.len() <= NEXT_BYTES).then_some(next)
}

/// The form. A browser without a session gets the cookie of one that is nobody's, to which the form is tied: so nobody
/// is signed in by a form of another site.
fn form_page(request: &Request, status: StatusCode, typed: Typed) -> Result<Answer, Failure> {
    let kept = cookies::session(request);
    let token = kept.clone().unwrap_or_else(|| SessionToken::generate(&request.app.entropy));
    let frame = Frame::new(request, None, Section::Outside);
    let has_tenants = request.app.settings.tenant_domain.is_some();
    let Typed { name, next, problems } = typed;
    let page = SignInPage { frame, csrf: token.csrf(), name, next, problems, has_tenants };
    let mut answer = frame::page(request, status, &page)?;
    if kept.is_none() {
        cookies::set_session(&mut answer, request, &token);
    }
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static(challenge(Shape::Page));
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    Ok(answer)
}

/// `GET /ui/sign-in`: the form; who has signed in already is sent on.
pub async fn form(request: Request) -> Result<Answer, Failure> {
    let query = Form::query(&request)?;
    let next = local(query.text("next"));
    if Visitor::of(&request).await?.is_some() {
        return Ok(frame::redirect(&request, next.unwrap_or(TOKENS)));
    }
    let next = next.unwrap_or_default().to_owned();
    form_page(&request, StatusCode::OK, Typed { next, ..Typed::default() })
}

/// `POST /ui/sign-in`: begins a session, or shows the form again.
pub async fn sign_in(mut request: Request) -> Result<Answer, Failure> {
    let form = Form::posted(&mut request).await?;
    let next = local(form.text("next")).unwrap_or_default().to_owned();
    let mut typed = Typed { name: form.text("name").to_owned(), next, problems: Problems::default() };
    // The browser may have dropped its cookies since it got the form; the new one brings a new cookie.
    let token = cookies::session(&request).filter(|token| check_csrf(&form, token).is_ok());
    let Some(token) = token else {
        typed.problems.add("", "sign-in-stale");
        return form_page(&request, StatusCode::FORBIDDEN, typed);
    };
    if form.given("name").is_none() {
        typed.problems.add("name", "sign-in-no-name");
    }
    if form.text("password").is_empty() {
        typed.problems.add("password", "sign-in-no-password");
    }
    if !typed.problems.is_empty() {
        return form_page(&request, StatusCode::BAD_REQUEST, typed);
    }
    let attempt = Attempt {
        tenant: request.site.key,
        name: &typed.name,
        password: Password::typed(form.text("password").to_owned()),
        address: request.address,
        tracking: request.tracking,
        previous: Some(token.hash()),
        device: cookies::device(&request),
    };
    match request.app.sign_in(attempt).await {
        Ok(signed_in) => Ok(enter(&request, &signed_in, &typed.next)),
        Err(SignInRefusal::Wrong) => {
            typed.problems.add("", "sign-in-wrong");
            form_page(&request, StatusCode::UNAUTHORIZED, typed)
        }
        Err(SignInRefusal::Disabled) => {
            typed.problems.add("", "sign-in-disabled");
            form_page(&request, StatusCode::FORBIDDEN, typed)
        }
        Err(SignInRefusal::Throttled(wait)) => {
            typed.problems.tell("", too_many_tries(wait));
            let mut answer = form_page(&request, StatusCode::TOO_MANY_REQUESTS, typed)?;
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.0));
            Ok(answer)
        }
        Err(SignInRefusal::Fault(error)) => Err(error.into()),
    }
}

/// What is told after too many wrong passwords.
pub(super) fn too_many_tries(wait: RetryAfterSeconds) -> String {
    texts().count("too-many-tries", u64::from(wait.0.div_ceil(60)))
}

/// Gives the browser its session and sends it on.
fn enter(request: &Request, signed_in: &SignedIn, next: &str) -> Answer {
    let next = if next.is_empty() { TOKENS } else { next };
    let mut answer = frame::redirect(request, next);
    cookies::set_session(&mut answer, request, &signed_in.token);
    cookies::set_device(&mut answer, request, &signed_in.device);
    answer
}

/// `GET /ui/sign-out`: asks, for a link from elsewhere must not end a session; or says that there is none.
pub async fn sign_out_page(request: Request) -> Result<Answer, Failure> {
    let visitor = Visitor::of(&request).await?;
    let frame = Frame::new(&request, visitor.as_ref(), Section::Outside);
    frame::page(&request, StatusCode::OK, &SignOutPage { frame })
}

/// `POST /ui/sign-out`: ends the session.
pub async fn sign_out(mut request: Request) -> Result<Answer, Failure> {
    if let Some(mut visitor) = Visitor::of(&request).await? {
        visitor.take_form(&mut request).await?;
        request.app.store.sign_out(visitor.identity.tenant, visitor.session.hash).await?;
    }
    let mut answer = frame::redirect(&request, SIGN_OUT);
    cookies::forget_session(&mut answer, &request);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_to_these_pages_alone() {
        for good in [
            "/ui",
            "/ui/a/audit?filters=actor.id+eq+%22x%22&page=2",
            "/ui/d/user-preferences/password",
            "/ui/%61",
        ] {
            assert_eq!(local(good), Some(good));
        }
        for wrong in [
            "",
            "/",
            "https://evil.example/ui/",
            "//evil.example/ui",
            "/\\evil.example/ui",
            "/ui\\..\\..",
            "/uix",
            "ui/a",
            "/oauth/info",
            "/ui/../docs",
            "/ui/%2e%2E/docs",
            "/ui/./../..//evil.example",
            "/ui/a\r\nSet-Cookie: x=y",
            "/ui/a b",
            "/ui/ä",
            "/ui/sign-in",
            "//ui//sign-in/?next=/ui",
            "/ui/sign-out#x",
            &format!("/ui/{}", "a".repeat(NEXT_BYTES)),
        ] {
            assert_eq!(local(wrong), None, "{wrong}");
        }
    }
}
