# What Puma serves: an answer that names the process.
body = nil
run lambda { |_environment|
  body ||= "worker-#{Process.pid}".ljust(42)
  [200, { 'content-length' => '42', 'content-type' => 'text/plain' }, [body]]
}
