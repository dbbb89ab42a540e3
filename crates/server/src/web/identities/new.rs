//! New Identity → who it is, levels → Create → its first password, shown once.

use askama::Template;
use patron_core::identity::Draft;

use super::{LevelChoice, level_choices, password_page};
use crate::app::Request;
use crate::respond::{Answer, Failure};
use crate::web::frame::{self, Frame, Problems};
use crate::web::{Form, Section, Visitor};

#[derive(Template)]
#[template(path = "identity_new.html")]
struct NewPage {
    frame: Frame,
    typed: Typed,
    levels: Vec<LevelChoice>,
    problems: Problems,
}

/// An identity as it is being typed.
#[derive(Default)]
struct Typed {
    name: String,
    display_name: String,
    first_name: String,
    last_name: String,
    email: String,
    levels: Vec<String>,
}

impl Typed {
    fn posted(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            name: text("name"),
            display_name: text("displayName"),
            first_name: text("firstname"),
            last_name: text("lastname"),
            email: text("email"),
            levels: form.all("level").map(str::to_owned).collect(),
        }
    }

    /// What the actor is asked for. Empty fields are none.
    fn draft(&self) -> Draft {
        let optional = |text: &String| (!text.trim().is_empty()).then(|| text.clone());
        Draft {
            name: self.name.clone(),
            display_name: optional(&self.display_name),
            first_name: optional(&self.first_name),
            last_name: optional(&self.last_name),
            email: optional(&self.email),
            levels: self.levels.clone(),
        }
    }
}

fn form_page(
    request: &Request,
    visitor: &Visitor,
    typed: Typed,
    problems: Problems,
) -> Result<Answer, Failure> {
    let frame = Frame::new(request, Some(visitor), Section::Identities);
    let levels = level_choices(&request.app.catalogue, &visitor.holder(), &[], &typed.levels);
    let status = problems.status();
    frame::page(request, status, &NewPage { frame, typed, levels, problems })
}

/// `GET …/new`: the form.
pub async fn new(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    form_page(&request, &visitor, Typed::default(), Problems::default())
}

/// `POST …/new`: makes the identity and shows its password, or the form again with what is wrong.
pub async fn create(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let typed = Typed::posted(&visitor.form);
    match visitor.actor(&request).create_identity(typed.draft()).await {
        Ok(made) => password_page(&request, &visitor, made, true),
        Err(error) => {
            let mut problems = Problems::default();
            problems.take(error)?;
            form_page(&request, &visitor, typed, problems)
        }
    }
}
