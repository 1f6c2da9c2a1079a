package experiment

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bittern/harness/artifact"
	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/internal/host"
	"bittern/plugins/backend"
)

// deployment deploys a finished experiment on one backend and stores the outcome. It does
// nothing if the store has that already. For scored see deploy.
func (r *Runner) deployment(ctx context.Context, spec *Spec, t task.Task, row store.Experiment, backend Plugin, scored scores, report func(done, of int)) (*Failure, error) {
	config, err := backend.deploymentConfig()
	if err != nil {
		return nil, err
	}
	known, err := r.Storage.Journal.Deployments(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range known {
		if d.Backend == backend.Label && d.Status == store.Damaged {
			r.Log(fmt.Sprintf("%s on %s: %s", spec, backend.Label, "what the run store had of it is damaged; deploying it again"))
		}
	}
	if deployed(known, backend.Label, config) {
		return nil, nil
	}
	d := store.Deployment{Experiment: row.ID, Backend: backend.Label, Config: config}
	made := provenance.Deployment{Machine: r.Machine, Backend: backend.String(), Started: time.Now().UTC()}
	var o outcome
	err = r.restarting(spec.String()+" on "+backend.Label, func() (err error) {
		o, err = r.deploy(ctx, spec, row, t, backend, scored, report)
		return err
	})
	f, ok := errors.AsType[*Failure](err)
	switch {
	case ok:
		d.Status, d.Reason, d.Stderr = store.Failed, f.Reason, f.Stderr
	case err != nil:
		return nil, err
	default:
		o.into(&d)
		if o.doubt != "" {
			r.Log(fmt.Sprintf("%s on %s: %s", spec, backend.Label, o.doubt))
		}
	}
	made.Ended, made.ScoredBy, made.Arithmetic = time.Now().UTC(), o.scoredBy, o.arithmetic
	if d.Provenance, err = json.Marshal(made); err != nil {
		return nil, err
	}
	return f, r.Storage.Journal.PutDeployment(context.WithoutCancel(ctx), d)
}

func (r *Runner) deploy(ctx context.Context, spec *Spec, row store.Experiment, t task.Task, plugin Plugin, scored scores, report func(done, of int)) (_ outcome, err error) {
	log, closeLog := r.log(spec, row.ID)
	defer closeLog()
	var deployed artifact.Network
	var process *host.Backend
	if err := r.Quiet.compute(func() (err error) {
		if deployed, err = r.Storage.Artifacts.Read(ctx, row.ID, row.Artifact); err != nil {
			return err // no plugin is to blame for it
		}
		process, err = r.Catalogue.Backend(ctx, plugin.Name, plugin.settings(nil, r.Deadline, log))
		return failure(err)
	}); err != nil {
		return outcome{}, err
	}
	defer func() {
		err = errors.Join(err, process.Close())
		if f, ok := errors.AsType[*Failure](err); ok {
			f.Stderr = process.Stderr() // complete only now, as in session.finish
		}
	}()
	if r.Untrained {
		_, o, err := costed(ctx, process, plugin, deployed, t, &r.Quiet)
		o.missing = cmp.Or(o.missing, "the network is not trained")
		return o, err
	}
	return deploy(ctx, process, plugin, deployed, t, *row.FrozenLoss, scored, &r.Quiet, report)
}

// into fills the row of a deployment that did not fail.
func (o outcome) into(d *store.Deployment) {
	d.Status, d.Reason, d.Doubt, d.Metric, d.Groups = store.Done, o.missing, o.doubt, o.score, o.groups
	if o.cost == nil {
		if o.score == nil {
			d.Status = store.Unsupported
		}
		return
	}
	d.Cost = &store.Cost{
		Steps:  o.steps,
		Cycles: o.cost.Cycles, Seconds: o.cost.Seconds,
		Measured: o.cost.Measured, N: o.cost.N, Missing: o.cost.Missing, Notes: o.cost.Notes,
		SecondsLow: o.cost.SecondsLow, SecondsHigh: o.cost.SecondsHigh,
	}
	for _, s := range o.cost.Substitutions {
		d.Cost.Substitutions = append(d.Cost.Substitutions, store.Substitution(s))
	}
	for _, r := range o.calibration {
		d.Cost.Calibration = append(d.Cost.Calibration, store.Residual(r))
	}
	d.Cost.Energy, d.Cost.Area, d.Cost.Memory = stored(o.cost.Energy), stored(o.cost.Area), stored(o.cost.Memory)
}

func stored(parts []backend.Part) (list []store.Part) {
	for _, part := range parts {
		list = append(list, store.Part(part))
	}
	return list
}
