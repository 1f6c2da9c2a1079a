package suite

import (
	"fmt"
	"reflect"

	"bittern/plugins"
)

// join loads the suites that a suite of parts names. The settings that hold for a whole run
// must be the same in all parts, and become the suite's own.
func (s *Suite) join() *fault {
	for i, name := range s.Parts {
		path := fmt.Sprintf("parts[%d]", i)
		part, err := load(name, true)
		if err != nil {
			return faultOf(path, "%s: %s", path, err)
		}
		if part.Name == s.Name {
			return faultOf(path, "%s: the suite %s has the name of the suite that it is a part of; give one of them another name", path, quote(part.Name))
		}
		for _, other := range s.Suites {
			if other.Name == part.Name {
				return faultOf(path, "%s: two suites are called %s; list each once", path, quote(part.Name))
			}
		}
		s.Suites = append(s.Suites, part)
	}
	return s.agree()
}

// agree refuses parts whose threads, freeze or backends differ from those of the first
// part.
func (s *Suite) agree() *fault {
	first := s.Suites[0]
	for i, part := range s.Suites {
		for _, common := range []struct {
			key      string
			one, two any
		}{{"threads", first.Threads, part.Threads}, {"freeze", first.Freeze, part.Freeze}, {"backends", unplaced(first.Backends), unplaced(part.Backends)}} {
			if !reflect.DeepEqual(common.one, common.two) {
				return faultOf(fmt.Sprintf("parts[%d]", i), "the suites %s and %s have different %s, which the parts of a suite must share; make them the same",
					quote(first.Name), quote(part.Name), common.key)
			}
		}
	}
	s.Threads, s.Freeze, s.Backends = first.Threads, first.Freeze, first.Backends
	return nil
}

// applyToParts applies an override to every part. The cap on the bytes of data goes to the
// parts whose tasks have that option.
func (s *Suite) applyToParts(o Override) error {
	bytes := o.Bytes
	o.Bytes = nil
	applied := bytes == nil
	for _, part := range s.Suites {
		if err := part.Apply(o); err != nil {
			return err
		}
		if bytes == nil {
			continue
		}
		some, err := part.applyBytes(*bytes)
		if err != nil {
			return err
		}
		applied = applied || some
	}
	if !applied {
		return s.noBytes()
	}
	for _, find := range []func() *fault{s.agree, s.check} {
		if f := find(); f != nil {
			return plugins.Problemf("suite %s: %s", s.Name, f.text)
		}
	}
	return nil
}
