package elastic

import (
	"context"
	"fmt"
	"net/http"

	"midden/internal/cowrie"
)

// tell sends changes, in requests of a sane size, and notes after each what was
// answered. scanned tells that they were read from a table, in order of their keys.
func (p *Publisher) tell(ctx context.Context, list []*cowrie.Change, scanned bool) error {
	for len(list) > 0 {
		var items []*item
		size := 0
		for _, c := range list {
			it, err := p.item(c, scanned)
			if err != nil {
				return err
			}
			if size += it.size(); size > p.most && len(items) > 0 {
				break
			}
			items = append(items, it)
		}
		list = list[len(items):]
		if err := p.send(ctx, items); err != nil {
			return err
		}
		if err := p.note(ctx, items, scanned); err != nil {
			return err
		}
	}
	return nil
}

// item says how a change is told.
func (p *Publisher) item(c *cowrie.Change, scanned bool) (*item, error) {
	body, err := build(c, p.Now())
	it := &item{Change: c, id: documentID(c), body: body, unsure: scanned || c.Revision <= p.unsure}
	if err != nil { // a report that is no JSON
		it.problem = err.Error()
	}
	switch c.Kind {
	case cowrie.KindSighting:
		if it.index, it.verb = p.names.sightings(), "create"; body == nil {
			it.verb = "forget"
		}
	case cowrie.KindVerdict:
		it.index, it.verb, it.done = p.names.verdicts(), "create", body == nil
	case cowrie.KindFile:
		it.index, it.verb, it.alias, it.version, it.unsure = p.names.files(), "index", true, c.Revision, false
		if body == nil {
			it.verb = "delete"
		}
		if scanned && p.state.Index != "" {
			it.index, it.alias = p.state.Index, false
		}
	case cowrie.KindReport:
		kind, _ := cowrie.ParseReportKey(c.Key)
		// One that was told before an index was closed is replaced there.
		it.index, it.verb, it.alias, it.unsure = p.names.reportWrite(kind), "index", true, true
	default:
		return nil, fmt.Errorf("outbox: there is no kind %q", c.Kind)
	}
	return it, nil
}

// send sends items until each is done or refused. It waits for a cluster that does not
// answer or has too much to do, and gives it less at a time.
func (p *Publisher) send(ctx context.Context, items []*item) error {
	for {
		if err := p.again(ctx, func() error { return p.settle(ctx, items) }); err != nil {
			return err
		}
		some, size := p.portion(items)
		if len(some) == 0 {
			return nil
		}
		err := p.Client.bulk(ctx, some)
		p.summary.Requests++
		p.summary.Bytes += int64(size)
		if p.Observe != nil {
			p.Observe(p.summary)
		}
		left, _ := p.portion(some)
		switch {
		case err == nil && len(left) == 0:
			p.limit = min(p.limit*2, p.most)
			p.calm()
			continue
		case isStatus(err, http.StatusRequestEntityTooLarge):
			if len(some) == 1 {
				some[0].problem = "HTTP 413: the server takes no document of this size"
			} else {
				p.most = size / 2
				p.limit = p.most
			}
			continue
		case err == nil:
			if len(left) < len(some) {
				p.calm()
			}
			err = &leftError{len(left), len(some), left[0].why}
		case IsPassing(err):
			for _, it := range some {
				it.unsure = it.verb == "create" || it.Kind == cowrie.KindReport
			}
		}
		p.limit = max(p.limit/2, min(leastBatch, p.most))
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
}

// portion returns the first of the items that are to be sent, as many as a request
// takes, and their size.
func (p *Publisher) portion(items []*item) (some []*item, size int) {
	for _, it := range items {
		if it.settled() {
			continue
		}
		if size+it.size() > p.limit && len(some) > 0 {
			break
		}
		some = append(some, it)
		size += it.size()
	}
	return some, size
}

// settle finds out of items that may be there already whether they are, and deletes
// what is gone.
func (p *Publisher) settle(ctx context.Context, items []*item) error {
	unsure, gone := map[string][]*item{}, map[string][]*item{}
	for _, it := range items {
		switch {
		case it.settled():
		case it.verb == "forget":
			gone[it.index] = append(gone[it.index], it)
		case it.unsure:
			unsure[it.index] = append(unsure[it.index], it)
		}
	}
	for stream, list := range gone {
		if err := p.Client.forget(ctx, stream, ids(list)); err != nil {
			return err
		}
		for _, it := range list {
			it.done = true
		}
	}
	for name, list := range unsure {
		pattern := name
		if list[0].Kind == cowrie.KindReport {
			kind, _ := cowrie.ParseReportKey(list[0].Key)
			pattern = p.names.report(kind) + "-*"
		}
		indices, err := p.Client.indices(ctx, pattern)
		if err != nil {
			return err
		}
		found := map[string]string{}
		if len(indices) > 1 { // in one alone the id tells
			if found, err = p.Client.where(ctx, indices, ids(list)); err != nil {
				return err
			}
		}
		for _, it := range list {
			it.unsure = false
			index := found[it.id]
			switch {
			case index == "":
			case it.verb == "create":
				it.done = true
			default:
				it.index, it.alias = index, false
			}
		}
	}
	return nil
}

func ids(items []*item) (list []string) {
	for _, it := range items {
		list = append(list, it.id)
	}
	return list
}

// note notes what was answered.
func (p *Publisher) note(ctx context.Context, items []*item, scanned bool) error {
	answers := make([]cowrie.Answer, len(items))
	for i, it := range items {
		answers[i] = cowrie.Answer{Change: it.Change, Problem: it.problem}
		p.count(it)
	}
	var state *cowrie.Publishing
	if scanned {
		next := *p.state
		next.After = items[len(items)-1].Key
		state = &next
	}
	err := p.Store.Published(ctx, state, answers)
	if err == nil && scanned {
		p.state = state
	}
	return err
}

func (p *Publisher) count(it *item) {
	s := &p.summary
	switch {
	case it.problem != "":
		s.Refused++
		p.Log.Warn("refused", "kind", it.Kind, "key", it.Key, "because", it.problem)
	case it.verb == "forget", it.verb == "delete":
		s.Deleted++
	case it.body == nil:
		s.Unchanged++
	case it.Kind == cowrie.KindSighting:
		s.Sightings++
	case it.Kind == cowrie.KindFile:
		s.Files++
	case it.Kind == cowrie.KindVerdict:
		s.Verdicts++
	default:
		s.Reports++
	}
}
