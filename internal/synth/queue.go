package synth

// queue is a heap of open visits, the one with the earliest next line first.
// Among equal times the one that began first is first, so that the order never
// depends on the heap's shape.
type queue []turnOf

type turnOf struct {
	at     int64
	serial int64
	visit  *visit
}

func (q queue) less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].serial < q[j].serial
}

func (q *queue) push(v *visit) {
	*q = append(*q, turnOf{v.marks[0].at, v.serial, v})
	h := *q
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(i, up) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// pop removes the first visit.
func (q *queue) pop() {
	h := *q
	last := len(h) - 1
	h[0] = h[last]
	h[last] = turnOf{}
	*q = h[:last]
	q.sink()
}

// delay moves the first visit to where its next line's time puts it.
func (q queue) delay(at int64) {
	q[0].at = at
	q.sink()
}

func (q queue) sink() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}
