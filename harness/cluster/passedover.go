package cluster

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// passedOver tells the user of a worker which suites keep to another class of machine.
type passedOver struct {
	class string // of this machine
	log   func(line string)
	told  map[string]bool
}

// look tells of suites that have jobs in the queue now. What cannot be read is told the next time.
func (p *passedOver) look(ctx context.Context, c *Cluster) {
	const longest = 2 * time.Second // a job may come meanwhile
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	jobs, err := c.js.Stream(ctx, jobsStream)
	if err != nil {
		return
	}
	info, err := jobs.Info(ctx, jetstream.WithSubjectFilter(subject("*", "", "*.*")))
	if err != nil {
		return
	}
	waiting := map[string]bool{}
	for s := range info.State.Subjects {
		if parts := strings.Split(strings.TrimPrefix(s, jobsSubject), "."); len(parts) == 3 { // ISA.CLASS.ID
			waiting[parts[1]] = true
		}
	}
	delete(waiting, classToken(p.class))
	if len(waiting) == 0 {
		return
	}
	keys, err := c.classes.Keys(ctx)
	if err != nil {
		return
	}
	for _, key := range keys {
		name, err := hex.DecodeString(key)
		if err != nil {
			continue // not of Bittern's
		}
		k, _, err := c.keptClass(ctx, string(name))
		if err == nil && waiting[classToken(k.Class)] && !p.told[k.Suite+"/"+k.Class] {
			p.told[k.Suite+"/"+k.Class] = true
			p.log(fmt.Sprintf("the suite %s keeps to machines of %s; this one, of %s, takes none of its experiments", k.Suite, k.Class, cmp.Or(p.class, unknownClass)))
		}
	}
}
