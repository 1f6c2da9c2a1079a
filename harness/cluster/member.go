package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/internal/host"
	"bittern/plugins"
)

// Member is a worker: what it is, and what it does.
type Member struct {
	ID      string           `json:"id"`
	Host    string           `json:"host"`
	PID     int              `json:"pid"`
	ISA     string           `json:"isa"`
	CPU     string           `json:"cpu"`
	Class   string           `json:"class,omitempty"` // see [provenance.Machine.Class]
	Cores   int              `json:"cores"`
	Build   provenance.Build `json:"build"`
	Plugins []MemberPlugin   `json:"plugins"`
	Started time.Time        `json:"started"`

	// What the worker is doing; empty if it waits for a job.
	Experiment string  `json:"experiment,omitempty"`
	Name       string  `json:"name,omitempty"` // of the experiment
	Stage      string  `json:"stage,omitempty"`
	Step       int     `json:"step,omitempty"`
	Steps      int     `json:"steps,omitempty"`
	Speed      float64 `json:"speed,omitempty"` // targets trained on a second, in the last step

	// Seen is when the worker last gave a sign of life, by the server's clock.
	Seen time.Time `json:"seen"`
}

// MemberPlugin is a plugin that a worker has.
type MemberPlugin struct {
	plugins.ID
	SHA256 string `json:"sha256,omitempty"` // of an external plugin's executable
}

func (m Member) String() string { return fmt.Sprintf("%s (process %d)", m.Host, m.PID) }

// lacks says why a worker cannot take a job; it is empty if nothing is known that speaks
// against it.
func (m Member) lacks(job experiment.Job, level string, build provenance.Build) string {
	switch {
	case !same(m.Build, build):
		return fmt.Sprintf("is bittern of %s and not of %s", buildName(m.Build), buildName(build))
	case m.ISA != level:
		return fmt.Sprintf("computes with %s and not with %s", m.ISA, level)
	}
	for id, wanted := range job.Plugins() {
		has := slices.ContainsFunc(m.Plugins, func(p MemberPlugin) bool { return p.ID == id && p.SHA256 == wanted.SHA256 })
		if !has && wanted.SHA256 == "" {
			return fmt.Sprintf("has no %s", id)
		}
		if !has {
			return fmt.Sprintf("has no %s with SHA-256 %s…", id, wanted.SHA256[:12])
		}
	}
	return ""
}

// Members lists the workers that are alive, by host and process.
func (c *Cluster) Members(ctx context.Context) ([]Member, error) {
	var list []Member
	err := c.patiently(ctx, func(ctx context.Context) error {
		list = nil
		keys, err := c.workers.Keys(ctx)
		if errors.Is(err, jetstream.ErrNoKeysFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, key := range keys {
			entry, err := c.workers.Get(ctx, key)
			if errors.Is(err, jetstream.ErrKeyNotFound) {
				continue // it has ended meanwhile
			}
			if err != nil {
				return err
			}
			var m Member
			if len(entry.Value()) > maxMessage || json.Unmarshal(entry.Value(), &m) != nil || m.ID != key {
				continue // it is only being started, or was not written by this version of bittern
			}
			m.Seen = entry.Created()
			list = append(list, m)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Member) int {
		if a.Host != b.Host {
			return strings.Compare(a.Host, b.Host)
		}
		return a.PID - b.PID
	})
	return list, err
}

// CheckWorkers refuses experiments that no worker can take, where there are workers, and tells
// which workers can take them.
func (c *Cluster) CheckWorkers(ctx context.Context, specs []*experiment.Spec, log func(line string)) error {
	members, err := c.Members(ctx)
	if err != nil {
		return err
	}
	level, build := isa.Numbers(), provenance.CollectBuild(ctx)
	if len(members) == 0 {
		log(fmt.Sprintf("no worker is connected to %s; start some with bittern worker --nats URL", c.options))
		return nil
	}
	able, err := ableMembers(members, specs, level, build)
	if err != nil {
		return err
	}
	var names []string
	for _, m := range able {
		names = append(names, m.String())
	}
	log(fmt.Sprintf("experiments with the instruction set %s go to %s", level, strings.Join(names, ", ")))
	return nil
}

// ableMembers lists the workers that can take some of the experiments. One that none can take
// is a [*plugins.Problem].
func ableMembers(members []Member, specs []*experiment.Spec, level string, build provenance.Build) ([]Member, error) {
	able := map[string]bool{}
	for _, s := range specs {
		job, err := s.Job()
		if err != nil {
			return nil, err
		}
		var reasons []string
		for _, m := range members {
			if why := m.lacks(job, level, build); why != "" {
				reasons = append(reasons, fmt.Sprintf("%s %s", m, why))
			} else {
				able[m.ID] = true
			}
		}
		if len(reasons) == len(members) {
			return nil, plugins.Problemf("no worker can take %s: %s", s, strings.Join(reasons, "; "))
		}
	}
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return !able[m.ID] }), nil
}

// membership keeps a worker in the list of those that are alive.
type membership struct {
	cluster *Cluster
	mu      sync.Mutex
	member  Member
}

// join describes this process as a worker. It is in the list when it gives a sign of life.
func (c *Cluster) join(ctx context.Context, id string, build provenance.Build, machine provenance.Machine, catalogue *host.Catalogue) (*membership, error) {
	m := &membership{cluster: c, member: Member{
		ID: id, Host: hostname(), PID: os.Getpid(), ISA: isa.Numbers(), CPU: machine.CPU, Class: machine.Class(), Cores: machine.Cores,
		Build: build, Started: time.Now().UTC(),
	}}
	entries, err := catalogue.List()
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if entry.HiddenBy != "" || entry.Problem != "" {
			continue
		}
		sum, err := catalogue.Checksum(ctx, entry.ID)
		if err != nil {
			return nil, err
		}
		m.member.Plugins = append(m.member.Plugins, MemberPlugin{ID: entry.ID, SHA256: sum})
	}
	return m, nil
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// update changes what the worker is said to do.
func (m *membership) update(change func(*Member)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.member)
}

// tell gives a sign of life.
func (m *membership) tell(ctx context.Context) error {
	m.mu.Lock()
	text, err := json.Marshal(m.member)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return m.cluster.patiently(ctx, func(ctx context.Context) error {
		_, err := m.cluster.workers.Put(ctx, m.member.ID, text)
		return err
	})
}

// mostSkew is how far a worker's clock may be from the server's: the times in a table come from
// both.
const mostSkew = 5 * time.Minute

// compareClocks refuses a machine whose clock is wrong.
func (m *membership) compareClocks(ctx context.Context, now func() time.Time) error {
	return m.cluster.patiently(ctx, func(ctx context.Context) error {
		before := now()
		if _, err := m.cluster.workers.PutString(ctx, m.member.ID, "{}"); err != nil {
			return err
		}
		entry, err := m.cluster.workers.Get(ctx, m.member.ID)
		if err != nil {
			return err
		}
		if skew := before.Sub(entry.Created()).Round(time.Minute); skew > mostSkew || skew < -mostSkew {
			word := "ahead of"
			if skew < 0 {
				word, skew = "behind", -skew
			}
			return plugins.Problemf("the clock of this machine is %s %s that of the NATS server; set it right and start the worker again", skew, word)
		}
		return nil
	})
}

// leave takes the worker off the list.
func (m *membership) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = m.cluster.workers.Purge(ctx, m.member.ID) // it would end by itself
}
