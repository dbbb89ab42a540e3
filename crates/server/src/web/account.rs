//! Preferences → Password, and Preferences → Display.

use askama::Template;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use patron_core::limits::PASSWORD_MIN_CHARS;
use patron_core::secret::Password;
use patron_core::time::Timestamp;

use super::cookies::{self, Notice};
use super::frame::{self, DISPLAY, Frame, PASSWORD, Problems, TOKENS};
use super::moment::Zone;
use super::sign_in::too_many_tries;
use super::{Section, Visitor};
use crate::app::Request;
use crate::respond::{Answer, Failure};
use crate::sign_in::ChangeRefusal;

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    frame: Frame,
    /// The login name, for the browser's own list of passwords.
    login: String,
    /// Whether nothing else can be done before.
    must: bool,
    least: usize,
    problems: Problems,
}

fn password_page(
    request: &Request,
    visitor: &Visitor,
    status: StatusCode,
    problems: Problems,
) -> Result<Answer, Failure> {
    let page = PasswordPage {
        frame: Frame::new(request, Some(visitor), Section::Password),
        login: visitor.identity.name.clone(),
        must: visitor.session.password_temporary,
        least: PASSWORD_MIN_CHARS,
        problems,
    };
    frame::page(request, status, &page)
}

/// `GET /ui/d/user-preferences/password`: the form.
pub async fn password(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    password_page(&request, &visitor, StatusCode::OK, Problems::default())
}

/// `POST /ui/d/user-preferences/password`: changes it, which ends every other session.
pub async fn change_password(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let typed = |field| Password::typed(visitor.form.text(field).to_owned());
    let mut problems = Problems::default();
    if visitor.form.text("new") != visitor.form.text("again") {
        problems.add("again", "password-differs");
        return password_page(&request, &visitor, problems.status(), problems);
    }
    let context = visitor.actor(&request).context;
    let changed =
        request.app.change_password(&visitor.session, context, typed("current"), typed("new")).await;
    match changed {
        Ok(changed) => {
            let next = if visitor.session.password_temporary { TOKENS } else { PASSWORD };
            let mut answer = frame::redirect_with(&request, next, Notice::of("notice-password-changed"));
            cookies::set_session(&mut answer, &request, &changed.token);
            cookies::set_device(&mut answer, &request, &changed.device);
            Ok(answer)
        }
        Err(ChangeRefusal::WrongCurrent) => {
            problems.add("current", "password-wrong");
            password_page(&request, &visitor, problems.status(), problems)
        }
        Err(ChangeRefusal::New(error)) => {
            problems.take(error.at("new"))?;
            password_page(&request, &visitor, problems.status(), problems)
        }
        Err(ChangeRefusal::Throttled(wait)) => {
            problems.tell("", too_many_tries(wait));
            let mut answer = password_page(&request, &visitor, StatusCode::TOO_MANY_REQUESTS, problems)?;
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.0));
            Ok(answer)
        }
        Err(ChangeRefusal::Fault(error)) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "display.html")]
struct DisplayPage {
    frame: Frame,
    zones: Vec<String>,
    /// The zone that the reader chose; `None` leaves it to the browser.
    chosen: Option<String>,
    signed_in: Timestamp,
    problems: Problems,
}

fn display_page(request: &Request, visitor: &Visitor, problems: Problems) -> Result<Answer, Failure> {
    let frame = Frame::new(request, Some(visitor), Section::Display);
    let headers = &request.parts.headers;
    let kept = cookies::zone(headers).filter(|_| cookies::zone_is_chosen(headers));
    let chosen = kept.and_then(Zone::named).map(|zone| zone.name().to_owned());
    let signed_in = visitor.session.created;
    let status = problems.status();
    let page = DisplayPage { frame, zones: Zone::names(), chosen, signed_in, problems };
    frame::page(request, status, &page)
}

/// `GET /ui/d/user-preferences/display`: the time zone, and the sessions elsewhere.
pub async fn display(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    display_page(&request, &visitor, Problems::default())
}

/// `POST /ui/d/user-preferences/display`: keeps the time zone in this browser.
pub async fn save_display(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let name = visitor.form.text("zone");
    let zone = Zone::named(name);
    if zone.is_none() && !name.is_empty() {
        let mut problems = Problems::default();
        problems.add("zone", "zone-unknown");
        return display_page(&request, &visitor, problems);
    }
    let mut answer = frame::redirect_with(&request, DISPLAY, Notice::of("notice-zone-saved"));
    cookies::set_zone(&mut answer, &request, zone.as_ref().map(Zone::name));
    Ok(answer)
}

/// `POST /ui/d/user-preferences/display/sign-out-elsewhere`: ends every session but this one.
pub async fn sign_out_elsewhere(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let (who, context) = (&visitor.identity, visitor.actor(&request).context);
    let ended = request.app.store.end_other_sessions(context, who.tenant, who.id, visitor.session.hash);
    let notice = Notice { id: "notice-signed-out-elsewhere", count: ended.await? };
    Ok(frame::redirect_with(&request, DISPLAY, notice))
}
