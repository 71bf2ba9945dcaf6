<?php
// What PHP's own server answers with: it knows nothing but its port, and serves one request at a time.

if (preg_match('#^/slow/(\d+)$#', $_SERVER['REQUEST_URI'], $slow)) {
    usleep((int) $slow[1] * 1000);
}
$body = 'pid:' . getmypid() . ' worker:' . getenv('HERDER_SLOT') . "\n";
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($body));
echo $body;
