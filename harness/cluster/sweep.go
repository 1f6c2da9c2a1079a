package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"bittern/harness/experiment"
)

// Sweep removes the files of experiments that no record names: a worker that was killed between
// a file and its record leaves one. It leaves experiments alone that a worker may still have.
func (r *Remote) Sweep(ctx context.Context, specs []*experiment.Spec) error {
	files, err := r.cluster.filesByExperiment(ctx)
	if err != nil {
		return err
	}
	for _, s := range specs {
		row, err := s.Row()
		if err != nil {
			return err
		}
		if err := r.cluster.sweep(ctx, row.ID, files[row.ID]); err != nil {
			return err
		}
	}
	return nil
}

// filesByExperiment lists the names of all files.
func (c *Cluster) filesByExperiment(ctx context.Context) (map[string][]string, error) {
	files := map[string][]string{}
	err := c.patiently(ctx, func(ctx context.Context) error {
		clear(files)
		list, err := c.files.List(ctx)
		if errors.Is(err, jetstream.ErrNoObjectsFound) {
			return nil
		}
		for _, info := range list {
			id, _, _ := strings.Cut(info.Name, "/")
			files[id] = append(files[id], info.Name)
		}
		return err
	})
	return files, err
}

// sweep removes files of an experiment, which were listed before, unless its record names them.
// The record is read after them: if nobody has the experiment then, whatever a worker has sent
// before is either named, or the worker has lost the right to name it.
func (c *Cluster) sweep(ctx context.Context, id string, listed []string) error {
	if len(listed) == 0 {
		return nil
	}
	r, _, err := c.record(ctx, id)
	if err != nil && !errors.Is(err, errNoRecord) {
		return err
	}
	if r.State != finished && r.State != "" {
		return nil
	}
	named := r.files()
	c.remove(ctx, slices.DeleteFunc(slices.Clone(listed), func(name string) bool { return slices.Contains(named, name) })...)
	return nil
}
