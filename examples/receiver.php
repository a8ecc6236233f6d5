<?php
// Receives watcher's events: checks signature and time, takes each event once. PHP 8, pdo_sqlite.
//
//     SHOP_SECRET=whsec_… php -S 127.0.0.1:8088 receiver.php
//
// then SHOP_URL=http://127.0.0.1:8088/ for the watcher. handle() is yours to fill.

declare(strict_types=1);

const WINDOW = 300;  // seconds by which a message's time may be off: older ones may be replayed

/** What your shop does. Throw, and the watcher sends the event again later. */
function handle(array $event): void
{
    $data = $event['data'];
    error_log("{$event['type']} {$data['panel']} {$data['order']} " . json_encode($data['changes']));
}

/** Whether the message was signed with our secret, a moment ago. */
function is_genuine(string $secret, string $id, string $timestamp, string $found, string $body): bool
{
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > WINDOW) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    if ($key === false || $key === '') {
        return false;
    }
    $wanted = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $found) as $one) {  // several while a secret is exchanged
        if (hash_equals($wanted, $one)) {
            return true;
        }
    }
    return false;
}

/** Handle the event unless it was handled before: both are one transaction. */
function take(string $id, array $event): void
{
    $db = new PDO('sqlite:' . (getenv('SHOP_DATABASE') ?: 'seen.db'));
    $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    $db->exec('CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, at INTEGER)');
    $db->beginTransaction();
    $new = $db->prepare('INSERT OR IGNORE INTO seen VALUES (?, ?)');
    $new->execute([$id, time()]);
    if ($new->rowCount()) {
        handle($event);
    }
    $db->commit();
}

$secret = getenv('SHOP_SECRET') ?: '';
$body = file_get_contents('php://input');
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
$found = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';
if (!is_genuine($secret, $id, $timestamp, $found, $body)) {
    http_response_code(401);
    exit;
}
try {
    take($id, json_decode($body, true, 32, JSON_THROW_ON_ERROR));
    http_response_code(204);
} catch (Throwable $error) {
    error_log('not taken: ' . $error->getMessage());
    http_response_code(500);  // it comes again
}
