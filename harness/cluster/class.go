package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/plugins"
)

// classToken is a class of machines in a subject.
func classToken(class string) string { return checksum([]byte(class))[:16] }

// unknownClass stands for that of a machine that does not tell the name of its processor.
const unknownClass = "an unknown processor"

// KeepToOneClass has all experiments run by machines of one class. If anything of them is
// trained already, it is the class that trained it; if not, it is the one that another run of
// the suite has settled on, or else that with the most workers, which are waited for. Call it
// before Submit. With again, what is trained does not count.
func (r *Remote) KeepToOneClass(ctx context.Context, suite string, specs []*experiment.Spec, again bool) error {
	var trained []string
	if !again {
		var err error
		if trained, err = r.trainedOn(ctx, suite, specs); err != nil {
			return err
		}
	}
	if slices.Contains(trained, unknownClass) {
		return plugins.Problemf("something of the suite %s was trained by a machine that does not tell the name of its processor; train it on one class of machine with --again, or leave out --same-machine-class", suite)
	}
	if len(trained) > 1 {
		return plugins.Problemf("what is trained of the suite %s is of more than one class of machine (%s); train it on one with --again, or leave out --same-machine-class", suite, strings.Join(trained, "; "))
	}
	for {
		entry, revision, err := r.cluster.keptClass(ctx, suite)
		if err != nil {
			return err
		}
		settled := cmp.Or(strings.Join(trained, ""), entry.Class)
		if again {
			settled = ""
		}
		class, err := r.choose(ctx, specs, settled, len(trained) > 0)
		if err != nil {
			return err
		}
		if class != entry.Class {
			err = r.cluster.keep(ctx, kept{Format: format, Suite: suite, Class: class, Writer: rand.Text()}, revision)
		}
		if errors.Is(err, errKeptMeanwhile) {
			continue
		}
		r.class = class
		return err
	}
}

// trainedOn lists the classes of machines that have trained experiments, as the run store and
// the server know.
func (r *Remote) trainedOn(ctx context.Context, suite string, specs []*experiment.Spec) ([]string, error) {
	classes := map[string]bool{}
	note := func(row *store.Experiment) error {
		if row == nil || row.Provenance == nil {
			return nil
		}
		var made provenance.Experiment
		if err := json.Unmarshal(row.Provenance, &made); err != nil {
			return fmt.Errorf("the provenance of experiment %s: %w", row.ID, err)
		}
		for _, s := range made.Sittings {
			if s.Contributed() {
				classes[cmp.Or(s.Class(), unknownClass)] = true
			}
		}
		return nil
	}
	for _, s := range specs {
		fresh, err := s.Row()
		if err != nil {
			return nil, err
		}
		row, err := r.runs.Experiment(ctx, fresh.ID)
		if err == nil && row.Status != store.Damaged {
			err = note(&row)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		found, _, err := r.cluster.record(ctx, fresh.ID)
		if errors.Is(err, errNoRecord) {
			continue
		}
		if err == nil {
			err = note(found.Row)
		}
		if err != nil {
			return nil, err
		}
		switch waits := found.State == queued || found.State == running; {
		case waits && found.Class == "":
			return nil, queuedElsewhere(s, "", "one")
		case waits:
			classes[found.Class] = true
		}
	}
	return slices.Sorted(maps.Keys(classes)), nil
}

// queuedElsewhere says that the job of an experiment, which is to be run by machines of another
// class, cannot be queued.
func queuedElsewhere(s *experiment.Spec, theirs, ours string) error {
	return plugins.Problemf("%s is being run for machines of %s, by another run, and not of %s; wait until it is done, or take it over with --again",
		s, cmp.Or(theirs, "every class"), ours)
}

// choose returns the class that is settled, or that with the most workers if none is settled.
// One that is not binding is given up if it has no worker. It waits for workers if there are none.
func (r *Remote) choose(ctx context.Context, specs []*experiment.Spec, settled string, binding bool) (string, error) {
	for told := false; ; told = true {
		members, err := r.cluster.Members(ctx)
		if err != nil {
			return "", err
		}
		classes, counts, lacking := r.able(members, specs)
		if lacking == nil && len(counts) == 0 && len(members) > 0 {
			lacking = plugins.Problemf("no worker tells the name of its processor, and so none is of a class; leave out --same-machine-class")
		}
		best := ""
		if slices.Contains(classes, settled) || binding {
			best = settled
		} else if len(classes) > 0 {
			best = classes[0]
		}
		switch {
		case best != "" && (len(members) > 0 || !r.own): // its own workers are being started
			r.log(fmt.Sprintf("the suite keeps to one class of machine, %s; there are %s", best, listed(counts)))
			return best, nil
		case len(members) > 0:
			return "", lacking
		case !told:
			r.log("no worker is connected; the first ones decide which class of machine the suite keeps to")
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(lookAgain):
		}
	}
}

// able returns the classes whose workers can take every experiment, that with the most workers
// first; how many workers each class has; and why a class cannot.
func (r *Remote) able(members []Member, specs []*experiment.Spec) (classes []string, counts map[string]int, lacking error) {
	byClass, counts := map[string][]Member{}, map[string]int{}
	for _, m := range members {
		if m.Class != "" {
			byClass[m.Class] = append(byClass[m.Class], m)
			counts[m.Class]++
		}
	}
	level := isa.Numbers()
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		if _, err := ableMembers(byClass[class], specs, level, r.build); err != nil {
			lacking = cmp.Or(lacking, err)
			continue
		}
		classes = append(classes, class)
	}
	slices.SortStableFunc(classes, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	return classes, counts, lacking
}

// listed names classes, with how many workers each has.
func listed(counts map[string]int) string {
	var list []string
	for _, class := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%d of %s", counts[class], class))
	}
	if list == nil {
		return "no workers of any now"
	}
	return "workers: " + strings.Join(list, "; ")
}

// WatchClass tells of workers of another class, which take nothing, and when no worker of the
// class is left, until ctx is done.
func (r *Remote) WatchClass(ctx context.Context) {
	look := r.classWatch()
	every(ctx, heartbeat, func() { look(ctx) })
}

// classWatch returns what looks once.
func (r *Remote) classWatch() func(ctx context.Context) {
	told, missing := map[string]bool{}, false
	return func(ctx context.Context) {
		members, err := r.cluster.Members(ctx)
		if err != nil {
			return // what lasts is noticed by those who wait for results
		}
		left := 0
		for _, m := range members {
			switch {
			case m.Class == r.class:
				left++
			case !told[m.ID]:
				told[m.ID] = true
				r.log(fmt.Sprintf("%s takes no experiment of this suite: it is a machine of %s, and the suite keeps to %s", m, cmp.Or(m.Class, unknownClass), r.class))
			}
		}
		if left == 0 && !missing {
			r.log(fmt.Sprintf("no worker of %s is left; start one, or interrupt this and run the suite with --again, to train all of it on another class", r.class))
		}
		missing = left == 0
	}
}
