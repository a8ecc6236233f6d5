<?php
// A shop as many are written: the usual class around cURL, and a script that uses it.
// Usage: php shop.php URL KEY ORDERS; prints what it was answered, as JSON.

class Api
{
    public function __construct(public string $api_url, public string $api_key) {}

    public function order(array $data) { return $this->call('add', $data); }
    public function status($order) { return $this->call('status', ['order' => $order]); }
    public function multiStatus(array $ids) { return $this->call('status', ['orders' => implode(',', $ids)]); }
    public function services() { return $this->call('services'); }
    public function refill($order) { return $this->call('refill', ['order' => $order]); }
    public function multiRefill(array $ids) { return $this->call('refill', ['orders' => implode(',', $ids)]); }
    public function refillStatus($refill) { return $this->call('refill_status', ['refill' => $refill]); }
    public function multiRefillStatus(array $ids) { return $this->call('refill_status', ['refills' => implode(',', $ids)]); }
    public function cancel(array $ids) { return $this->call('cancel', ['orders' => implode(',', $ids)]); }
    public function balance() { return $this->call('balance'); }

    private function call(string $action, array $data = [])
    {
        return json_decode($this->connect(['key' => $this->api_key, 'action' => $action] + $data));
    }

    private function connect(array $post)
    {
        $fields = [];
        foreach ($post as $name => $value) {
            $fields[] = $name . '=' . urlencode($value);
        }
        $ch = curl_init($this->api_url);
        curl_setopt($ch, CURLOPT_RETURNTRANSFER, 1);
        curl_setopt($ch, CURLOPT_POST, 1);
        curl_setopt($ch, CURLOPT_HEADER, 0);
        curl_setopt($ch, CURLOPT_FOLLOWLOCATION, 1);
        curl_setopt($ch, CURLOPT_POSTFIELDS, implode('&', $fields));
        curl_setopt($ch, CURLOPT_USERAGENT, 'Mozilla/4.0 (compatible; MSIE 5.01; Windows NT 5.0)');
        $result = curl_exec($ch);
        curl_close($ch);
        return $result;
    }
}

[, $url, $key, $ids] = $argv;
$api = new Api($url, $key);
$done = explode(',', $ids);
$told = ['balance' => $api->balance(), 'services' => $api->services()];
$order = $api->order(['service' => 1, 'link' => 'https://example.com/p/1?a=b&c=ü', 'quantity' => 100]);
$told['order'] = $order;
$told['comments'] = $api->order(['service' => 5, 'link' => 'https://example.com/p/2', 'comments' => "good pic\r\ngreat, 100%"]);
$told['drip'] = $api->order(['service' => 1, 'link' => 'https://example.com/p/3', 'quantity' => 50, 'runs' => 2, 'interval' => 5]);
$told['refused'] = $api->order(['service' => 1, 'link' => 'https://example.com/p/4', 'quantity' => 1]);
$told['status'] = $api->status($order->order);
$told['statuses'] = $api->multiStatus([...$done, $order->order, 99999999]);
$told['refill'] = $api->refill($done[0]);
$told['refills'] = $api->multiRefill([$done[1], 99999999]);
$told['refill_status'] = $api->refillStatus($told['refill']->refill);
$told['refill_statuses'] = $api->multiRefillStatus([1, 2, 99999999]);
$told['cancel'] = $api->cancel([$order->order, 99999999]);
$told['nonsense'] = $api->status('');
echo json_encode($told);
