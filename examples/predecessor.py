import requests

URL, HEADERS = "http://127.0.0.1:3874", {"X-Auth-Token": open("old-service-token").read().strip()}
body = {"user_uuid": "ann", "code": "print(6 * 7)"}
answer = requests.post(f"{URL}/execute", json=body, headers=HEADERS, timeout=60)
print(answer.status_code, answer.json())  # 200 {'result_text': '42\n', 'result_base64': None}
