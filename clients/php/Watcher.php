<?php
/**
 * Client of watcher's HTTP API in one file. PHP 7.4 or newer, with cURL. Copy it, or include it.
 *
 *     $watcher = new Watcher('http://127.0.0.1:9466', getenv('WATCHER_KEY') ?: null);
 *     $watcher->track([['panel' => 'mypanel', 'order' => 23501, 'reference' => '1042']]);
 *     $page = $watcher->changes(['after' => $cursor, 'wait' => 25]);
 *
 * Each method returns the API's JSON as an array, or throws a WatcherError.
 * What the calls do, and all fields: docs/clients.md and docs/api.md of watcher.
 *
 * MIT licence.
 */

declare(strict_types=1);

/** A call failed. */
class WatcherError extends RuntimeException
{
}

/** No watcher answers, and nothing was changed: try again later. */
class WatcherUnreachable extends WatcherError
{
}

/** The answer is lost: the call may have been carried out. Look before you do it again. */
class WatcherUnclear extends WatcherError
{
}

/** The event isn't from your watcher, or it is too old: answer 401 and do nothing. */
class WatcherBadSignature extends WatcherError
{
}

/** The daemon refused the call: `status` is HTTP's, `reason` is for programs. */
class WatcherRefused extends WatcherError
{
    /** @var int */
    public $status;
    /** @var string */
    public $reason;
    /** @var float seconds to wait after HTTP 429 */
    public $retryAfter;

    public function __construct(int $status, string $reason, string $message, float $retryAfter = 1.0)
    {
        parent::__construct("$message (HTTP $status, $reason)");
        $this->status = $status;
        $this->reason = $reason;
        $this->retryAfter = $retryAfter;
    }
}

final class Watcher
{
    /** Seconds by which an event's time may be off: others may send an older one again. */
    private const WINDOW = 300;
    private const LONGEST_PAUSE = 60.0;

    /** @var string[] */
    private $urls = [];
    /** @var Closure that returns the key: so no dump of this object shows it */
    private $key;
    /** @var int */
    private $timeout;
    /** @var int */
    private $attempts;

    /**
     * A watcher at a URL, or at several: those of one cluster. `timeout` is how many seconds an
     * answer may take, `attempts` how often a call that may be repeated is tried.
     *
     * @param string|string[] $url
     */
    public function __construct(
        $url = 'http://127.0.0.1:9466',
        #[\SensitiveParameter]
        ?string $key = null,
        int $timeout = 30,
        int $attempts = 3,
        bool $allowHttp = false
    ) {
        $problem = ($key !== null && !preg_match('/^[\x21-\x7e]+$/D', $key = trim($key)))
            ? 'the key is empty, or has characters that no key has' : '';
        foreach ((array) $url as $one) {
            $problem = $problem ?: self::problemOf((string) $one, $allowHttp);
            $this->urls[] = rtrim((string) $one, '/');
        }
        if ($problem !== '' || $this->urls === [] || $timeout < 1 || $attempts < 1) {
            throw new InvalidArgumentException($problem ?: 'url, timeout and attempts: at least one');
        }
        $this->key = static function () use ($key): ?string {
            return $key;
        };
        $this->timeout = $timeout;
        $this->attempts = max($attempts, count($this->urls));
    }

    public function __debugInfo(): array
    {
        return ['urls' => $this->urls];
    }

    /** Track up to 10,000 orders that were submitted elsewhere. */
    public function track(array $orders): array
    {
        return $this->call('POST', '/v1/orders', [], ['orders' => array_values($orders)]);
    }

    /**
     * Place an order and track it, once for each key: your own number of the order is a good one.
     *
     * @param array $order panel, service, link, quantity, params, reference, customer, tags, note
     */
    public function submit(string $idempotencyKey, array $order): array
    {
        if (!preg_match('/^[\x20-\x7e]+$/D', $idempotencyKey)) {
            throw new InvalidArgumentException('idempotencyKey: printable ASCII characters are required');
        }
        $headers = ["Idempotency-Key: $idempotencyKey"];
        return $this->call('POST', '/v1/submit', [], $order, $headers, true, 25);
    }

    /**
     * Return one order: state, history, refills, actions.
     *
     * @param string|int $order its number at the panel, here and below
     */
    public function show(string $panel, $order): array
    {
        return $this->call('GET', self::path($panel, $order));
    }

    /** Change the order's reference, customer, tags or note; null removes one. */
    public function label(string $panel, $order, array $labels): array
    {
        return $this->call('PATCH', self::path($panel, $order), [], $labels);
    }

    /** Check the order with the panel's next request; say what was learnt, or why nothing yet. */
    public function check(string $panel, $order, int $wait = 10): array
    {
        $path = self::path($panel, $order) . '/check';
        return $this->call('POST', $path, ['wait' => $wait], null, [], true, $wait);
    }

    /** Check up to 1,000 orders, each ['panel' => …, 'order' => …]. */
    public function checkAll(array $orders, int $wait = 10): array
    {
        $body = ['orders' => array_values($orders), 'wait' => $wait];
        return $this->call('POST', '/v1/checks', [], $body, [], true, $wait);
    }

    /**
     * Return the changes after a cursor. Deal with them, then keep `cursor`: it is `after` next time.
     *
     * @param array $query after, wait, panel, tag, limit
     */
    public function changes(array $query = []): array
    {
        return $this->call('GET', '/v1/changes', $query, null, [], true, (int) ($query['wait'] ?? 0));
    }

    /** Ask the panel for a refill, once: the call is not repeated once it may have arrived. */
    public function refill(string $panel, $order): array
    {
        return $this->call('POST', self::path($panel, $order) . '/refill', [], null, [], false);
    }

    /** Ask the panel to cancel the order, once: not repeated once it may have arrived. */
    public function cancel(string $panel, $order): array
    {
        return $this->call('POST', self::path($panel, $order) . '/cancel', [], null, [], false);
    }

    /** Return one action: what became of a submission, refill or cancel. */
    public function action(int $id): array
    {
        return $this->call('GET', "/v1/actions/$id");
    }

    /** Return who sends the request, and what they may do. */
    public function whoami(): array
    {
        return $this->call('GET', '/v1/whoami');
    }

    /**
     * Return the event if it was signed with the secret (whsec_…) a moment ago. It may come again:
     * remember the header `webhook-id`.
     *
     *     $event = Watcher::verifyEvent($secret, getallheaders(), file_get_contents('php://input'));
     *
     * @param array $headers names, in any case, to values
     */
    public static function verifyEvent(
        #[\SensitiveParameter]
        string $secret,
        array $headers,
        string $body,
        ?int $now = null
    ): array {
        $bytes = base64_decode((string) preg_replace('/^whsec_/', '', trim($secret)), true);
        if ($bytes === false || $bytes === '') {
            throw new InvalidArgumentException('the secret is not whsec_ and Base64');
        }
        $sent = array_change_key_case($headers, CASE_LOWER);
        $id = (string) ($sent['webhook-id'] ?? '');
        $timestamp = (string) ($sent['webhook-timestamp'] ?? '');
        $now = $now ?? time();
        if (!preg_match('/^[0-9]{1,14}$/D', $timestamp) || abs($now - (int) $timestamp) > self::WINDOW) {
            throw new WatcherBadSignature("the event's time is missing, or more than 5 minutes off");
        }
        $wanted = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $bytes, true));
        $isGenuine = false;  // several signatures while a secret is exchanged
        foreach (explode(' ', (string) ($sent['webhook-signature'] ?? '')) as $one) {
            $isGenuine = hash_equals($wanted, $one) || $isGenuine;
        }
        $event = json_decode($body, true);
        if (!$isGenuine || !is_array($event)) {
            throw new WatcherBadSignature('the event is not signed with this secret, or no JSON');
        }
        return $event;
    }

    /**
     * Send a request of the API; return its answer. A call that is not repeatable is sent again only
     * if surely nothing was done.
     *
     * @param string[] $headers
     */
    public function call(
        string $method,
        string $path,
        array $query = [],
        ?array $body = null,
        array $headers = [],
        bool $isRepeatable = true,
        int $wait = 0
    ): array {
        $text = http_build_query($query, '', '&', PHP_QUERY_RFC3986);
        $target = $path . ($text === '' ? '' : "?$text");
        $pause = 0.5;
        for ($place = 0, $tried = 1;; $tried++) {
            $url = $this->urls[$place % count($this->urls)];
            $reply = $this->send($method, $url . $target, $body, $headers, $this->timeout + $wait);
            if ($reply['failure'] === '' && $reply['document'] !== null && intdiv($reply['status'], 100) === 2) {
                return $reply['document'];
            }
            $error = $this->error("$method $path", $url, $reply, $method !== 'GET');
            if ($tried >= $this->attempts || !self::canPass($error, $reply, $isRepeatable)) {
                throw $error;
            }
            if ($error instanceof WatcherRefused && $error->status === 429) {
                usleep((int) ($error->retryAfter * 1e6));
                continue;
            }
            // Not where a write may have arrived; and where no node of the cluster could do it.
            if ($error instanceof WatcherUnreachable || self::isNotDone($error)) {
                $place++;
                if ($place < count($this->urls)) {
                    continue;
                }
            }
            usleep((int) ($pause * 1e6));
            $pause *= 2;
        }
    }

    /** Return what a reply that is no answer means. */
    private function error(string $call, string $url, array $reply, bool $isWrite): WatcherError
    {
        $status = $reply['status'];
        $fault = $reply['document']['error'] ?? null;
        $mayBeDone = $isWrite && $reply['hasLeft'];
        $cause = $reply['failure'];
        if ($cause === '' && is_array($fault) && $status >= 400) {
            $code = (string) ($fault['code'] ?? '');
            $error = new WatcherRefused($status, $code, (string) ($fault['message'] ?? ''), $reply['retryAfter']);
            $mayBeDone = $isWrite && $status >= 500 && $status !== 503;
            if (!$mayBeDone) {
                return $error;
            }
            $cause = $error->getMessage();
        } elseif ($cause === '') {
            $mayBeDone = $isWrite && ($status < 300 || $status >= 500);
            $cause = "HTTP $status, and not by watcher";
        }
        return $mayBeDone
            ? new WatcherUnclear("it is not known whether $call was carried out: $cause")
            : new WatcherUnreachable("no watcher answers at $url: $cause");
    }

    /** Return whether a node of a cluster says that it has not done it. */
    private static function isNotDone(WatcherError $error): bool
    {
        return $error instanceof WatcherRefused && in_array($error->reason, ['no_lease', 'not_led'], true);
    }

    /** Return whether another attempt may end better, and does no harm. */
    private static function canPass(WatcherError $error, array $reply, bool $isRepeatable): bool
    {
        if ($error instanceof WatcherRefused) {
            return $error->status === 429
                ? $error->retryAfter <= self::LONGEST_PAUSE
                : $error->status === 503 && ($isRepeatable || self::isNotDone($error));
        }
        if ($reply['failure'] === '') {
            $isGateway = in_array($reply['status'], [502, 503, 504], true);
            return $isGateway && $isRepeatable && !isset($reply['document']['error']);
        }
        return $isRepeatable || !$reply['hasLeft'];
    }

    /** Send once, over a connection of its own. `hasLeft`: bytes of the request may have left. */
    private function send(string $method, string $url, ?array $body, array $headers, int $seconds): array
    {
        $headers[] = 'Accept: application/json';
        $headers[] = 'Expect:';
        $key = ($this->key)();
        if ($key !== null) {
            $headers[] = "Authorization: Bearer $key";
        }
        $retryAfter = 1.0;
        $options = [
            CURLOPT_URL => $url,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_FOLLOWLOCATION => false,  // it would take the key elsewhere
            CURLOPT_PROXY => '',
            CURLOPT_CONNECTTIMEOUT => $this->timeout,
            CURLOPT_TIMEOUT => $seconds,
            CURLOPT_NOSIGNAL => true,
            CURLOPT_HEADERFUNCTION => static function ($handle, string $line) use (&$retryAfter): int {
                if (preg_match('/^retry-after:\s*([0-9]{1,9})\s*$/i', $line, $found)) {
                    $retryAfter = (float) $found[1];
                }
                return strlen($line);
            },
        ];
        if ($method !== 'GET') {
            $flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION;
            $options[CURLOPT_POSTFIELDS] = $body === null ? '' : json_encode((object) $body, $flags);
            $headers[] = 'Content-Type: application/json';
        }
        $options[CURLOPT_HTTPHEADER] = $headers;
        $handle = curl_init();
        curl_setopt_array($handle, $options);
        $answer = curl_exec($handle);
        $failure = $answer === false ? (curl_error($handle) ?: 'error ' . curl_errno($handle)) : '';
        // Above 0 once the connection stands, with TLS: from then on bytes may have left.
        $hasLeft = curl_getinfo($handle, CURLINFO_PRETRANSFER_TIME) > 0;
        $document = json_decode((string) $answer, true);
        $isObject = is_array($document) && substr(ltrim((string) $answer), 0, 1) === '{';
        return [
            'status' => (int) curl_getinfo($handle, CURLINFO_RESPONSE_CODE),
            'retryAfter' => $retryAfter,
            'document' => $isObject ? $document : null,
            'failure' => $failure,
            'hasLeft' => $hasLeft,
        ];
    }

    /** @param string|int $order */
    private static function path(string $panel, $order): string
    {
        $path = '/v1/orders';
        foreach ([$panel, (string) $order] as $name) {
            if (in_array(trim($name), ['', '.', '..'], true)) {
                throw new InvalidArgumentException("'$name' is no name of a panel or an order");
            }
            $path .= '/' . rawurlencode($name);
        }
        return $path;
    }

    private static function problemOf(string $url, bool $allowHttp): string
    {
        $parts = parse_url($url);
        if (!is_array($parts) || array_diff_key($parts, array_flip(['scheme', 'host', 'port', 'path']))) {
            return 'the URL is to have no user, password, query or fragment';
        }
        $scheme = strtolower($parts['scheme'] ?? '');
        $host = strtolower($parts['host'] ?? '');
        if ($host === '' || !in_array($scheme, ['http', 'https'], true)) {
            return 'the URL is to be as https://watcher.example';
        }
        $isHere = in_array($host, ['localhost', '[::1]'], true) || preg_match('/^127\.[0-9.]+$/D', $host);
        if ($scheme === 'http' && !$allowHttp && !$isHere) {
            return 'http would show the key to the network: use https, or allowHttp';
        }
        return '';
    }
}
