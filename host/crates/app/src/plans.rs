//! Planfiles: check, run, and checking again what a run was started with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Code, OperationName, Refusal, RunId};
use plan::{CheckStatus, Checked, CheckedPlan, PlanSource};
use run::NewRun;

use crate::app::App;
use crate::catalog::InstalledPacks;
use crate::operations::{self, CallOptions};
use crate::runs::Drivable;
use crate::view::{InputView, PlanPack, PlanView, RunView, StepEffect};
use crate::{Error, system};

/// Who can approve: the person who runs plans.
const MODE: journal::Mode = journal::Mode::Solo;

/// What a run is given beside its planfile.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Inputs, `name=value`.
    pub inputs: Vec<String>,
    /// Further roots, `name=folder`.
    pub roots: Vec<String>,
    /// The folder that `workspace` names.
    pub workspace: PathBuf,
}

/// A planfile's text and the name that the user gave it.
pub(crate) struct PlanText {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl PlanText {
    fn read(path: &Path) -> Result<Self, Error> {
        let bytes = crate::home::read_file(path, 2 * plan::bounds::TEXT_BYTES_MAX as u64)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::refused(Code::PlanSyntax, format!("`{}` is not UTF-8", path.display())))?;
        Ok(Self { name: path.display().to_string(), text })
    }

    fn source(&self) -> PlanSource<'_> {
        PlanSource { name: &self.name, text: &self.text }
    }
}

impl App {
    /// Checks a planfile against the installed packs. Runs nothing.
    ///
    /// # Errors
    /// If it cannot be read, or a pack that it uses no longer verifies. What is wrong in the
    /// planfile is a result.
    pub fn plan_check(&self, path: &Path) -> Result<PlanView, Error> {
        let text = PlanText::read(path)?;
        let checked = plan::check(&text.source(), &self.catalog_for(&text)?);
        Ok(view(&text, &checked))
    }

    /// Checks a planfile and runs it until it ends or waits for a person.
    ///
    /// # Errors
    /// The same report as [`App::plan_check`] if it is wrong; otherwise if the run cannot be
    /// recorded. That the run fails is a result.
    pub fn plan_run(&self, path: &Path, options: &RunOptions) -> Result<RunView, Error> {
        self.run_text(&PlanText::read(path)?, options)
    }

    /// Runs an operation with side effects as a plan of one step.
    pub(crate) fn run_one_step(&self, name: &OperationName, options: &CallOptions) -> Result<RunView, Error> {
        let pack = self.load_pack(&name.pack)?;
        let text = operations::one_step_plan(name, &pack, &options.arguments)?;
        let text = PlanText { name: "call.plan.yaml".to_owned(), text };
        let options = RunOptions {
            inputs: Vec::new(),
            roots: options.roots.clone(),
            workspace: options.workspace.clone(),
        };
        // Nobody wrote that planfile, so nobody is shown a line of it.
        self.run_text(&text, &options).map_err(|error| match error {
            Error::Plan(report) => as_call(&report),
            other => other,
        })
    }

    fn run_text(&self, text: &PlanText, options: &RunOptions) -> Result<RunView, Error> {
        // Without an approver a run that writes could never end: say so before it begins.
        self.approver()?;
        let packs = self.catalog_for(text)?;
        let plan = checked(text, &packs)?;
        let inputs = plan.inputs_from_assignments(&options.inputs).map_err(|found| report(text, found))?;
        let roots = Arc::new(operations::open_roots(&self.home, &options.workspace, &options.roots)?);
        let id = RunId::from_random(system::random::<12>()?);
        let new = NewRun {
            run: id.clone(),
            planfile: text.text.clone().into_bytes(),
            inputs,
            roots: crate::host::root_records(&roots)?,
            mode: MODE,
            started_by: crate::system::user_name(),
        };
        run::create(self.journal()?, &plan, new, self.clock.now())?;
        self.drive(&id, Drivable { plan, packs, roots })
    }

    /// The packs that a planfile can mean. One that no longer verifies is an error if the planfile
    /// names it, and of no concern otherwise.
    fn catalog_for(&self, text: &PlanText) -> Result<InstalledPacks, Error> {
        let installed = self.store()?.list()?;
        self.installed(
            installed
                .into_iter()
                .map(|receipt| receipt.pack)
                .filter(|id| text.text.contains(&id.to_string())),
        )
        .and_then(|named| self.with_names_of_the_others(named))
    }

    /// The checked plan of a run, from the planfile that it was started with and the packs, trust
    /// and grants of now.
    pub(crate) fn plan_of(
        &self,
        created: &journal::RunCreated,
    ) -> Result<(CheckedPlan, InstalledPacks), Error> {
        let bytes = self.journal()?.artifact(&created.planfile).map_err(crate::journal_error)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::refused(Code::JournalDamaged, "the run's planfile is not UTF-8"))?;
        let text = PlanText { name: created.planfile_name.clone(), text };
        let packs = self.catalog_for(&text)?;
        let plan = checked(&text, &packs)?;
        Ok((plan, packs))
    }
}

/// The checked plan, or the report of what is wrong: the one that `plan check` gives.
fn checked(text: &PlanText, packs: &InstalledPacks) -> Result<CheckedPlan, Error> {
    let checked = plan::check(&text.source(), packs);
    let refusal = || Error::Plan(Box::new(view(text, &checked)));
    checked.plan.clone().ok_or_else(refusal)
}

/// What is wrong with a plan of one call, without the places: all of it, under the first code.
fn as_call(report: &PlanView) -> Error {
    let texts = |name: &'static str| {
        report.diagnostics.iter().filter_map(move |found| found.get(name)?.as_str()).collect::<Vec<_>>()
    };
    let code = texts("code").first().and_then(|text| Code::ALL.iter().find(|code| code.as_str() == *text));
    let refusal = Refusal::new(code.copied().unwrap_or(Code::CallArguments), texts("message").join("; "));
    Error::Refused(texts("fix").into_iter().fold(refusal, Refusal::hint))
}

/// The report of what is wrong with a run's inputs.
fn report(text: &PlanText, diagnostics: Vec<plan::Diagnostic>) -> Error {
    let checked = Checked { plan: None, diagnostics, effects: Vec::new(), gates: Vec::new() };
    Error::Plan(Box::new(view(text, &checked)))
}

fn view(text: &PlanText, checked: &Checked) -> PlanView {
    let plan = checked.plan.as_ref();
    let effect = |step: &plan::StepEffect| StepEffect {
        step: step.step.to_string(),
        operation: step.operation.to_string(),
        effect: step.effect,
        discloses: step.discloses,
    };
    PlanView {
        status: match checked.status() {
            CheckStatus::Ok => "ok",
            CheckStatus::Refused => "missing-grants",
            CheckStatus::Malformed => "ill-typed",
        },
        digest: plan.map(|plan| plan.digest),
        name: plan.map(|plan| plan.name.clone()),
        diagnostics: checked.diagnostics.iter().map(plan::Diagnostic::to_json).collect(),
        rendered: plan::render_text(&checked.diagnostics, &text.source()),
        effects: checked.effects.iter().map(effect).collect(),
        gates: checked.gates.iter().map(|gate| gate.step.to_string()).collect(),
        packs: plan.map(|plan| plan.packs.values().map(pack).collect()).unwrap_or_default(),
        inputs: plan.map(|plan| plan.inputs.iter().map(input).collect()).unwrap_or_default(),
        outputs: plan
            .map(|plan| plan.output_types.iter().map(|(name, ty)| (name.clone(), ty.to_string())).collect())
            .unwrap_or_default(),
    }
}

fn pack(pack: &plan::CheckedPack) -> PlanPack {
    PlanPack { pack: pack.id.clone(), version: pack.version.to_string(), statement: pack.statement }
}

fn input((name, input): (&String, &plan::InputDeclaration)) -> (String, InputView) {
    let view = InputView {
        ty: input.ty.to_string(),
        default: input.default.as_ref().map(values::to_json),
        required: input.default.is_none() && !matches!(input.ty, values::Type::Option(_)),
        description: input.description.clone(),
        schema: values::schema(&input.ty),
    };
    (name.clone(), view)
}
